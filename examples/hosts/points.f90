! The smallest host with material points, in Fortran: the parts of a patch behind a shock; points_f90 CURVES
program points
  use, intrinsic :: iso_c_binding
  use mld_closure
  implicit none
  integer, parameter :: ny = 16, nx = 40, steps = 20
  real(c_double), parameter :: dt = 2e-9_c_double
  integer(c_int64_t), allocatable :: ids(:)
  integer(c_int32_t), allocatable :: parts(:)
  real(c_float), allocatable :: patches(:, :, :)
  real(c_double), allocatable :: pressure(:), entropy(:), burned(:)
  real(c_double) :: found, mean
  character(1024) :: bundle
  type(closure) :: c
  integer :: step, x, y, k, n, ierr

  if (command_argument_count() /= 1) error stop "usage: points_f90 CURVES"
  call get_command_argument(1, bundle)
  call c%open(trim(bundle), ierr, settings="device = 'cpu'"//new_line("a")//"threads = 1")
  call check
  call c%fact("patch.parts", found, ierr)
  call check
  n = nint(found)
  allocate (ids(n), parts(n), patches(nx, ny, n), pressure(n), entropy(n), burned(n))
  do k = 1, n ! all points have the same patch, which is then seen once, and a load each
    ids(k) = k
    parts(k) = k - 1
    pressure(k) = 5e9_c_double + 0.5e9_c_double*(k - 1)
    entropy(k) = 200 + 20*(k - 1)
    do y = 0, ny - 1
      do x = 0, nx - 1
        patches(x + 1, y + 1, k) = merge(0.0, 1.0, mod(31*(y/3) + 17*(x/3), 23) < 2)
      end do
    end do
  end do
  c%entropy_unit = 1e3_c_double ! kJ/kg
  call c%register_patches(ids, patches, ierr, parts=parts)
  call check
  do step = 0, steps - 1
    call c%begin_step(step*dt, dt, ierr)
    call check
    call c%advance(ids, pressure, ierr, entropy=entropy, burned_fraction=burned)
    call check
    call c%commit(ierr)
    call check
  end do
  mean = sum(burned)/n
  print "(a, es22.15)", "mean burned fraction ", mean
  call c%close(ierr)
  call check
  if (.not. (mean > 0 .and. mean <= 1)) error stop 1

contains
  subroutine check
    if (ierr == mld_ok) return
    print "(a)", mld_error_message()
    error stop 1
  end subroutine
end program
