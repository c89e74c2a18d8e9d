! The C interface of mld_closure as Fortran sees it: its structures and functions, for the module mld_closure.
module mld_closure_c
  use, intrinsic :: iso_c_binding
  implicit none
  public

  type, bind(c) :: options_t
    integer(c_size_t) :: size
    type(c_ptr) :: bundle = c_null_ptr, settings = c_null_ptr
    integer(c_int32_t) :: has_comm = 0, comm = 0
    type(c_funptr) :: fallback = c_null_funptr
    type(c_ptr) :: fallback_data = c_null_ptr
    integer(c_int64_t) :: id_bits = 64
  end type

  type, bind(c) :: array_t
    integer(c_int32_t) :: quantity = 0, device = 0
    type(c_ptr) :: data = c_null_ptr
    integer(c_int64_t) :: stride = 0, device_index = 0
    real(c_double) :: scale = 0
  end type

  type, bind(c) :: registration_t
    integer(c_size_t) :: size
    integer(c_int64_t) :: n = 0
    type(c_ptr) :: ids = c_null_ptr
    integer(c_int64_t) :: ny = 0, nx = 0
    type(c_ptr) :: patches = c_null_ptr, image = c_null_ptr, path = c_null_ptr, dataset = c_null_ptr, &
      offsets = c_null_ptr
    real(c_double) :: pixel = 0
    integer(c_int64_t) :: ownership = 0
    type(c_ptr) :: parts = c_null_ptr
  end type

  interface
    integer(c_int) function c_open(options, handle) bind(c, name="mld_open")
      import :: c_int, c_ptr, options_t
      type(options_t), intent(in) :: options
      type(c_ptr), intent(out) :: handle
    end function
    integer(c_int) function c_close(handle) bind(c, name="mld_close")
      import :: c_int, c_ptr
      type(c_ptr), intent(inout) :: handle
    end function
    integer(c_int) function c_register(handle, registration) bind(c, name="mld_register")
      import :: c_int, c_ptr, registration_t
      type(c_ptr), value :: handle
      type(registration_t), intent(in) :: registration
    end function
    integer(c_int) function c_unregister(handle, n, ids) bind(c, name="mld_unregister")
      import :: c_int, c_ptr, c_int64_t
      type(c_ptr), value :: handle, ids
      integer(c_int64_t), value :: n
    end function
    integer(c_int) function c_migrate(handle, n, ids, owner) bind(c, name="mld_migrate")
      import :: c_int, c_ptr, c_int64_t
      type(c_ptr), value :: handle, ids, owner
      integer(c_int64_t), value :: n
    end function
    integer(c_int) function c_begin(handle, t, dt) bind(c, name="mld_begin_step")
      import :: c_int, c_ptr, c_double
      type(c_ptr), value :: handle
      real(c_double), value :: t, dt
    end function
    integer(c_int) function c_advance(handle, n, ids, inputs, n_in, outputs, n_out) bind(c, name="mld_advance")
      import :: c_int, c_ptr, c_int64_t, c_int32_t, array_t
      type(c_ptr), value :: handle, ids
      integer(c_int64_t), value :: n
      integer(c_int32_t), value :: n_in, n_out
      type(array_t), intent(in) :: inputs(*), outputs(*)
    end function
    integer(c_int) function c_submit(handle, n, ids, inputs, n_in, outputs, n_out) bind(c, name="mld_submit")
      import :: c_int, c_ptr, c_int64_t, c_int32_t, array_t
      type(c_ptr), value :: handle, ids
      integer(c_int64_t), value :: n
      integer(c_int32_t), value :: n_in, n_out
      type(array_t), intent(in) :: inputs(*), outputs(*)
    end function
    integer(c_int) function c_wait(handle) bind(c, name="mld_wait")
      import :: c_int, c_ptr
      type(c_ptr), value :: handle
    end function
    integer(c_int) function c_commit(handle) bind(c, name="mld_commit")
      import :: c_int, c_ptr
      type(c_ptr), value :: handle
    end function
    integer(c_int) function c_rollback(handle) bind(c, name="mld_rollback")
      import :: c_int, c_ptr
      type(c_ptr), value :: handle
    end function
    integer(c_int) function c_dt_max(handle, dt) bind(c, name="mld_dt_max")
      import :: c_int, c_ptr, c_double
      type(c_ptr), value :: handle
      real(c_double), intent(out) :: dt
    end function
    integer(c_int) function c_counter(handle, name, value) bind(c, name="mld_counter")
      import :: c_int, c_ptr, c_double, c_char
      type(c_ptr), value :: handle
      character(kind=c_char), intent(in) :: name(*)
      real(c_double), intent(out) :: value
    end function
    integer(c_int) function c_counter_sum(handle, name, value) bind(c, name="mld_counter_sum")
      import :: c_int, c_ptr, c_double, c_char
      type(c_ptr), value :: handle
      character(kind=c_char), intent(in) :: name(*)
      real(c_double), intent(out) :: value
    end function
    integer(c_int) function c_fact(handle, name, value) bind(c, name="mld_fact")
      import :: c_int, c_ptr, c_double, c_char
      type(c_ptr), value :: handle
      character(kind=c_char), intent(in) :: name(*)
      real(c_double), intent(out) :: value
    end function
    integer(c_int) function c_read(handle, n, ids, outputs, n_out) bind(c, name="mld_read")
      import :: c_int, c_ptr, c_int64_t, c_int32_t, array_t
      type(c_ptr), value :: handle, ids
      integer(c_int64_t), value :: n
      integer(c_int32_t), value :: n_out
      type(array_t), intent(in) :: outputs(*)
    end function
    integer(c_int) function c_save(handle, path) bind(c, name="mld_save")
      import :: c_int, c_ptr, c_char
      type(c_ptr), value :: handle
      character(kind=c_char), intent(in) :: path(*)
    end function
    integer(c_int) function c_restore(handle, path) bind(c, name="mld_restore")
      import :: c_int, c_ptr, c_char
      type(c_ptr), value :: handle
      character(kind=c_char), intent(in) :: path(*)
    end function
    integer(c_int) function c_recoverable(error) bind(c, name="mld_recoverable")
      import :: c_int
      integer(c_int), value :: error
    end function
    type(c_ptr) function c_message() bind(c, name="mld_message")
      import :: c_ptr
    end function
    integer(c_int64_t) function c_cells(ids) bind(c, name="mld_message_cells")
      import :: c_int64_t, c_ptr
      type(c_ptr), intent(out) :: ids
    end function
    integer(c_size_t) function c_strlen(text) bind(c, name="strlen")
      import :: c_size_t, c_ptr
      type(c_ptr), value :: text
    end function
  end interface
end module
