! mld_closure for Fortran 2008 and later, over the C interface; what the calls do and need stands in closure.h.
!
!     use mld_closure
!     type(closure) :: c
!     integer :: ierr
!     call c%open("model/bundle", ierr, settings="device = 'cpu'")
!     call c%register_patches(ids, patches, ierr)          ! patches(nx, ny, n), real(c_float)
!     call c%begin_step(t, dt, ierr)
!     call c%advance(ids, p, ierr, burned_fraction=f, burn_rate=rate)
!     if (ierr /= mld_ok) print *, mld_error_message()
!     call c%commit(ierr)
!     call c%close(ierr)
!
! With a communicator the calls that closure.h marks as collective must be made by all its ranks in the same
! order: all but submit, dt_max, counter, fact and read.
! Ids are integer(c_int64_t); lists of other integers are passed as int(list, c_int64_t). A host whose pressures,
! velocities and entropies are in other units than Pa, m/s and J/kg sets c%pressure_unit, c%velocity_unit and
! c%entropy_unit to these units in SI.
! Every call gives an mld_error number in ierr. Arrays handed to submit must be contiguous and stay until wait.
module mld_closure
  use, intrinsic :: iso_c_binding
  use mld_closure_c
  implicit none
  private

  integer(c_int), parameter, public :: mld_ok = 0, mld_e_argument = 1, mld_e_order = 2, mld_e_cells = 3, &
    mld_e_file = 4, mld_e_memory = 5, mld_e_mpi = 6, mld_e_handle = 101, mld_e_python = 102, mld_e_internal = 103, &
    mld_e_ranks = 104

  ! Flags of the status: what a cell is, what was done about it, and why; see closure.h.
  integer(c_int64_t), parameter, public :: mld_is_loading = ishft(1_c_int64_t, 0), &
    mld_is_active = ishft(1_c_int64_t, 1), mld_is_burned = ishft(1_c_int64_t, 2), &
    mld_is_beyond_horizon = ishft(1_c_int64_t, 3), mld_is_extrapolating = ishft(1_c_int64_t, 8), &
    mld_is_fallback = ishft(1_c_int64_t, 9), mld_is_rejected = ishft(1_c_int64_t, 10), &
    mld_why_load_low = ishft(1_c_int64_t, 16), mld_why_load_high = ishft(1_c_int64_t, 17), &
    mld_why_not_finite = ishft(1_c_int64_t, 18), mld_why_out_of_bounds = ishft(1_c_int64_t, 19), &
    mld_why_not_monotone = ishft(1_c_int64_t, 20), mld_why_uncertain = ishft(1_c_int64_t, 21), &
    mld_why_microstructure = ishft(1_c_int64_t, 22), mld_why_patch_size = ishft(1_c_int64_t, 23)

  integer(c_int32_t), parameter :: pressure_of = 1, velocity_of = 2, mass_of = 3, entropy_of = 4, first_output = 101

  public :: closure, mld_fallback, mld_error_message, mld_error_cells, mld_is_recoverable

  type :: call_t
    type(array_t) :: inputs(4), outputs(13)
    integer(c_int32_t) :: n_in = 0, n_out = 0
  end type

  type :: closure
    private
    type(c_ptr) :: handle = c_null_ptr
    real(c_double), public :: pressure_unit = 1, velocity_unit = 1, entropy_unit = 1 ! in SI
  contains
    procedure :: open => open_closure
    procedure :: register_patches
    procedure :: register_image
    procedure :: unregister
    procedure :: migrate
    procedure :: begin_step
    procedure :: advance
    procedure :: submit
    procedure :: wait => wait_for_calls
    procedure :: commit
    procedure :: rollback
    procedure :: dt_max
    procedure :: counter
    procedure :: counter_sum
    procedure :: fact
    procedure :: read => read_state
    procedure :: save => save_state
    procedure :: restore
    procedure :: close => close_closure
  end type

  ! Physics of the host for cells that a policy hands to it, as closure.h describes it. A procedure with
  ! bind(c) and this interface is given to open as c_funloc(procedure).
  abstract interface
    integer(c_int) function mld_fallback(data, n, ids, up, shock_pressure, pressure, since, until, dt, before, after) &
      bind(c)
      import :: c_int, c_ptr, c_int64_t, c_double
      type(c_ptr), value :: data
      integer(c_int64_t), value :: n
      integer(c_int64_t), intent(in) :: ids(n)
      real(c_double), intent(in) :: up(n)              ! load (m/s)
      real(c_double), intent(in) :: shock_pressure(n)  ! Pa
      real(c_double), intent(in) :: pressure(n)        ! Pa, at the end of the step
      real(c_double), intent(in) :: since(n), until(n) ! the cell's clock (s)
      real(c_double), intent(in) :: dt(n)              ! real time (s) between them
      real(c_double), intent(in) :: before(6, n)       ! quantities at since: hot-spot area fraction and temperature (K),
      real(c_double), intent(inout) :: after(6, n)     ! burned fraction, mean temperature (K), mean pressure (Pa), porosity
    end function
  end interface

contains

  ! comm: a communicator as `use mpi` knows it, or comm%mpi_val of `use mpi_f08`; without it this process alone.
  ! fallback: c_funloc of a procedure with the interface mld_fallback; fallback_data is handed to it.
  subroutine open_closure(self, bundle, ierr, settings, comm, fallback, fallback_data)
    class(closure), intent(inout) :: self
    character(*), intent(in) :: bundle
    integer(c_int), intent(out) :: ierr
    character(*), intent(in), optional :: settings
    integer, intent(in), optional :: comm
    type(c_funptr), intent(in), optional :: fallback
    type(c_ptr), intent(in), optional :: fallback_data
    character(kind=c_char, len=:), allocatable, target :: bundle_c, settings_c
    type(options_t) :: options
    bundle_c = bundle//c_null_char
    settings_c = c_null_char
    if (present(settings)) settings_c = settings//c_null_char
    options%size = c_sizeof(options)
    options%bundle = c_loc(bundle_c)
    options%settings = c_loc(settings_c)
    if (present(comm)) then
      options%has_comm = 1
      options%comm = int(comm, c_int32_t)
    end if
    if (present(fallback)) options%fallback = fallback
    if (present(fallback_data)) options%fallback_data = fallback_data
    ierr = c_open(options, self%handle)
  end subroutine

  ! patches(nx, ny, n): solid fraction, copied unless borrow is true. parts(n): column part, from 0, of its patch
  ! that each cell is a point of; without it the cells are whole patches.
  subroutine register_patches(self, ids, patches, ierr, pixel, borrow, parts)
    class(closure), intent(in) :: self
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    real(c_float), intent(in), contiguous, target :: patches(:, :, :)
    integer(c_int), intent(out) :: ierr
    real(c_double), intent(in), optional :: pixel
    logical, intent(in), optional :: borrow
    integer(c_int32_t), intent(in), contiguous, target, optional :: parts(:)
    type(registration_t) :: cells
    ierr = mld_e_argument
    if (size(patches, 3) /= size(ids)) return
    call describe(cells, ids, shape(patches), borrow, parts, ierr)
    cells%patches = c_loc(patches)
    if (present(pixel)) cells%pixel = pixel
    if (ierr == mld_ok) ierr = c_register(self%handle, cells)
  end subroutine

  ! image(nx, ny) of the sample, offsets(2, n) = x, y in m of each patch's corner; parts as above.
  subroutine register_image(self, ids, image, pixel, offsets, ierr, borrow, parts)
    class(closure), intent(in) :: self
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    real(c_float), intent(in), contiguous, target :: image(:, :)
    real(c_double), intent(in) :: pixel
    real(c_double), intent(in), contiguous, target :: offsets(:, :)
    integer(c_int), intent(out) :: ierr
    logical, intent(in), optional :: borrow
    integer(c_int32_t), intent(in), contiguous, target, optional :: parts(:)
    type(registration_t) :: cells
    ierr = mld_e_argument
    if (size(offsets, 1) /= 2 .or. size(offsets, 2) /= size(ids)) return
    call describe(cells, ids, shape(image), borrow, parts, ierr)
    cells%image = c_loc(image)
    cells%offsets = c_loc(offsets)
    cells%pixel = pixel
    if (ierr == mld_ok) ierr = c_register(self%handle, cells)
  end subroutine

  ! What all cells to be registered have; extent: nx, ny of a patch or the image.
  subroutine describe(cells, ids, extent, borrow, parts, ierr)
    type(registration_t), intent(out) :: cells
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    integer, intent(in) :: extent(:)
    logical, intent(in), optional :: borrow
    integer(c_int32_t), intent(in), contiguous, target, optional :: parts(:)
    integer(c_int), intent(out) :: ierr
    cells%size = c_sizeof(cells)
    cells%n = size(ids, kind=c_int64_t)
    cells%ids = c_loc(ids)
    cells%nx = extent(1)
    cells%ny = extent(2)
    if (present(borrow)) cells%ownership = merge(1, 0, borrow)
    ierr = mld_ok
    if (.not. present(parts)) return
    if (size(parts) /= size(ids)) ierr = mld_e_argument
    cells%parts = c_loc(parts)
  end subroutine

  subroutine unregister(self, ids, ierr)
    class(closure), intent(in) :: self
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    integer(c_int), intent(out) :: ierr
    ierr = c_unregister(self%handle, size(ids, kind=c_int64_t), c_loc(ids))
  end subroutine

  subroutine migrate(self, ids, new_owner, ierr)
    class(closure), intent(in) :: self
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    integer(c_int32_t), intent(in), contiguous, target :: new_owner(:)
    integer(c_int), intent(out) :: ierr
    ierr = mld_e_argument
    if (size(new_owner) /= size(ids)) return
    ierr = c_migrate(self%handle, size(ids, kind=c_int64_t), c_loc(ids), c_loc(new_owner))
  end subroutine

  subroutine begin_step(self, t, dt, ierr)
    class(closure), intent(in) :: self
    real(c_double), intent(in) :: t, dt
    integer(c_int), intent(out) :: ierr
    ierr = c_begin(self%handle, t, dt)
  end subroutine

  ! Arrays of as many numbers as there are ids; any of the outputs.
  subroutine advance(self, ids, pressure, ierr, velocity, burned_fraction, burn_rate, hotspot_area_fraction, &
                     hotspot_area_rate, hotspot_temperature, hotspot_temperature_rate, mean_temperature, &
                     mean_pressure, porosity, uncertainty, status, mass, burned_increment, heat_increment, entropy)
    class(closure), intent(in) :: self
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    real(c_double), intent(in), contiguous, target :: pressure(:)
    integer(c_int), intent(out) :: ierr
    real(c_double), intent(in), contiguous, target, optional :: velocity(:), mass(:), entropy(:)
    real(c_double), intent(inout), contiguous, target, optional :: burned_fraction(:), burn_rate(:), &
      hotspot_area_fraction(:), hotspot_area_rate(:), hotspot_temperature(:), hotspot_temperature_rate(:), &
      mean_temperature(:), mean_pressure(:), porosity(:), uncertainty(:), burned_increment(:), heat_increment(:)
    integer(c_int64_t), intent(inout), contiguous, target, optional :: status(:)
    type(call_t) :: call
    call collect(self, call, ids, pressure, ierr, velocity, burned_fraction, burn_rate, hotspot_area_fraction, &
                 hotspot_area_rate, hotspot_temperature, hotspot_temperature_rate, mean_temperature, &
                 mean_pressure, porosity, uncertainty, status, mass, burned_increment, heat_increment, entropy)
    if (ierr == mld_ok) ierr = c_advance(self%handle, size(ids, kind=c_int64_t), c_loc(ids), call%inputs, &
                                      call%n_in, call%outputs, call%n_out)
  end subroutine

  subroutine submit(self, ids, pressure, ierr, velocity, burned_fraction, burn_rate, hotspot_area_fraction, &
                    hotspot_area_rate, hotspot_temperature, hotspot_temperature_rate, mean_temperature, &
                    mean_pressure, porosity, uncertainty, status, mass, burned_increment, heat_increment, entropy)
    class(closure), intent(in) :: self
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    real(c_double), intent(in), contiguous, target :: pressure(:)
    integer(c_int), intent(out) :: ierr
    real(c_double), intent(in), contiguous, target, optional :: velocity(:), mass(:), entropy(:)
    real(c_double), intent(inout), contiguous, target, optional :: burned_fraction(:), burn_rate(:), &
      hotspot_area_fraction(:), hotspot_area_rate(:), hotspot_temperature(:), hotspot_temperature_rate(:), &
      mean_temperature(:), mean_pressure(:), porosity(:), uncertainty(:), burned_increment(:), heat_increment(:)
    integer(c_int64_t), intent(inout), contiguous, target, optional :: status(:)
    type(call_t) :: call
    call collect(self, call, ids, pressure, ierr, velocity, burned_fraction, burn_rate, hotspot_area_fraction, &
                 hotspot_area_rate, hotspot_temperature, hotspot_temperature_rate, mean_temperature, &
                 mean_pressure, porosity, uncertainty, status, mass, burned_increment, heat_increment, entropy)
    if (ierr == mld_ok) ierr = c_submit(self%handle, size(ids, kind=c_int64_t), c_loc(ids), call%inputs, &
                                      call%n_in, call%outputs, call%n_out)
  end subroutine

  subroutine wait_for_calls(self, ierr)
    class(closure), intent(in) :: self
    integer(c_int), intent(out) :: ierr
    ierr = c_wait(self%handle)
  end subroutine

  subroutine commit(self, ierr)
    class(closure), intent(in) :: self
    integer(c_int), intent(out) :: ierr
    ierr = c_commit(self%handle)
  end subroutine

  subroutine rollback(self, ierr)
    class(closure), intent(in) :: self
    integer(c_int), intent(out) :: ierr
    ierr = c_rollback(self%handle)
  end subroutine

  subroutine dt_max(self, dt, ierr)
    class(closure), intent(in) :: self
    real(c_double), intent(out) :: dt
    integer(c_int), intent(out) :: ierr
    ierr = c_dt_max(self%handle, dt)
  end subroutine

  ! A count or timing of this rank alone, by name; not collective.
  subroutine counter(self, name, value, ierr)
    class(closure), intent(in) :: self
    character(*), intent(in) :: name
    real(c_double), intent(out) :: value
    integer(c_int), intent(out) :: ierr
    ierr = c_counter(self%handle, name//c_null_char, value)
  end subroutine

  ! The same summed over all ranks; collective.
  subroutine counter_sum(self, name, value, ierr)
    class(closure), intent(in) :: self
    character(*), intent(in) :: name
    real(c_double), intent(out) :: value
    integer(c_int), intent(out) :: ierr
    ierr = c_counter_sum(self%handle, name//c_null_char, value)
  end subroutine

  ! A fact of the model or of an option, by name, in SI units; not collective.
  subroutine fact(self, name, value, ierr)
    class(closure), intent(in) :: self
    character(*), intent(in) :: name
    real(c_double), intent(out) :: value
    integer(c_int), intent(out) :: ierr
    ierr = c_fact(self%handle, name//c_null_char, value)
  end subroutine

  ! The committed state of cells, as after a restart; not collective.
  subroutine read_state(self, ids, ierr, burned_fraction, hotspot_area_fraction, hotspot_temperature, &
                        mean_temperature, mean_pressure, porosity, burned_mass)
    class(closure), intent(in) :: self
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    integer(c_int), intent(out) :: ierr
    real(c_double), intent(inout), contiguous, target, optional :: burned_fraction(:), hotspot_area_fraction(:), &
      hotspot_temperature(:), mean_temperature(:), mean_pressure(:), porosity(:), burned_mass(:)
    type(call_t) :: call
    integer(c_int) :: n
    n = size(ids)
    ierr = mld_ok
    call add_output(call, n, ierr, 0, burned_fraction)
    call add_output(call, n, ierr, 2, hotspot_area_fraction)
    call add_output(call, n, ierr, 4, hotspot_temperature)
    call add_output(call, n, ierr, 6, mean_temperature)
    call add_output(call, n, ierr, 7, mean_pressure, self%pressure_unit)
    call add_output(call, n, ierr, 8, porosity)
    call add_output(call, n, ierr, 13, burned_mass)
    if (ierr == mld_ok) ierr = c_read(self%handle, size(ids, kind=c_int64_t), c_loc(ids), call%outputs, call%n_out)
  end subroutine

  subroutine save_state(self, path, ierr)
    class(closure), intent(in) :: self
    character(*), intent(in) :: path
    integer(c_int), intent(out) :: ierr
    ierr = c_save(self%handle, path//c_null_char)
  end subroutine

  subroutine restore(self, path, ierr)
    class(closure), intent(in) :: self
    character(*), intent(in) :: path
    integer(c_int), intent(out) :: ierr
    ierr = c_restore(self%handle, path//c_null_char)
  end subroutine

  subroutine close_closure(self, ierr)
    class(closure), intent(inout) :: self
    integer(c_int), intent(out) :: ierr
    ierr = c_close(self%handle)
  end subroutine

  ! The sentence of the last call of this thread.
  function mld_error_message() result(message)
    character(:), allocatable :: message
    character(kind=c_char), pointer :: text(:)
    type(c_ptr) :: raw
    integer :: i
    raw = c_message()
    call c_f_pointer(raw, text, [c_strlen(raw)])
    allocate (character(size(text)) :: message)
    do i = 1, size(text)
      message(i:i) = text(i)
    end do
  end function

  ! The cells that the last error of this thread concerns.
  function mld_error_cells() result(cells)
    integer(c_int64_t), allocatable :: cells(:)
    integer(c_int64_t), pointer :: ids(:)
    integer(c_int64_t) :: n
    type(c_ptr) :: raw
    n = c_cells(raw)
    allocate (cells(n))
    if (n == 0) return
    call c_f_pointer(raw, ids, [n])
    cells = ids
  end function

  logical function mld_is_recoverable(error)
    integer(c_int), intent(in) :: error
    mld_is_recoverable = c_recoverable(error) /= 0
  end function

  subroutine collect(self, call, ids, pressure, ierr, velocity, burned_fraction, burn_rate, hotspot_area_fraction, &
                     hotspot_area_rate, hotspot_temperature, hotspot_temperature_rate, mean_temperature, &
                     mean_pressure, porosity, uncertainty, status, mass, burned_increment, heat_increment, entropy)
    class(closure), intent(in) :: self
    type(call_t), intent(out) :: call
    integer(c_int64_t), intent(in), contiguous, target :: ids(:)
    real(c_double), intent(in), contiguous, target :: pressure(:)
    integer(c_int), intent(out) :: ierr
    real(c_double), intent(in), contiguous, target, optional :: velocity(:), mass(:), entropy(:)
    real(c_double), intent(inout), contiguous, target, optional :: burned_fraction(:), burn_rate(:), &
      hotspot_area_fraction(:), hotspot_area_rate(:), hotspot_temperature(:), hotspot_temperature_rate(:), &
      mean_temperature(:), mean_pressure(:), porosity(:), uncertainty(:), burned_increment(:), heat_increment(:)
    integer(c_int64_t), intent(inout), contiguous, target, optional :: status(:)
    integer(c_int) :: n
    n = size(ids)
    ierr = mld_ok
    call%n_in = 0
    call%n_out = 0
    call add_input(pressure_of, pressure, self%pressure_unit)
    if (present(velocity)) call add_input(velocity_of, velocity, self%velocity_unit)
    if (present(mass)) call add_input(mass_of, mass, 1.0_c_double)
    if (present(entropy)) call add_input(entropy_of, entropy, self%entropy_unit)
    call add_output(call, n, ierr, 0, burned_fraction)
    call add_output(call, n, ierr, 1, burn_rate)
    call add_output(call, n, ierr, 2, hotspot_area_fraction)
    call add_output(call, n, ierr, 3, hotspot_area_rate)
    call add_output(call, n, ierr, 4, hotspot_temperature)
    call add_output(call, n, ierr, 5, hotspot_temperature_rate)
    call add_output(call, n, ierr, 6, mean_temperature)
    call add_output(call, n, ierr, 7, mean_pressure, self%pressure_unit)
    call add_output(call, n, ierr, 8, porosity)
    call add_output(call, n, ierr, 9, uncertainty)
    call add_output(call, n, ierr, 11, burned_increment)
    call add_output(call, n, ierr, 12, heat_increment)
    if (present(status)) then
      if (size(status) /= n) ierr = mld_e_argument
      call%n_out = call%n_out + 1
      call%outputs(call%n_out) = array_t(quantity=first_output + 10, data=c_loc(status))
    end if
  contains
    subroutine add_input(quantity, array, unit)
      integer(c_int32_t), intent(in) :: quantity
      real(c_double), intent(in), contiguous, target :: array(:)
      real(c_double), intent(in) :: unit
      if (size(array) /= n) ierr = mld_e_argument
      call%n_in = call%n_in + 1
      call%inputs(call%n_in) = array_t(quantity=quantity, data=c_loc(array), scale=unit)
    end subroutine
  end subroutine

  ! Adds an output to a call of n cells where there is an array for it.
  subroutine add_output(call, n, ierr, number, array, unit)
    type(call_t), intent(inout) :: call
    integer(c_int), intent(in) :: n
    integer(c_int), intent(inout) :: ierr
    integer(c_int32_t), intent(in) :: number
    real(c_double), intent(inout), contiguous, target, optional :: array(:)
    real(c_double), intent(in), optional :: unit
    if (.not. present(array)) return
    if (size(array) /= n) ierr = mld_e_argument
    call%n_out = call%n_out + 1
    call%outputs(call%n_out) = array_t(quantity=first_output + number, data=c_loc(array))
    if (present(unit)) call%outputs(call%n_out)%scale = unit
  end subroutine
end module
