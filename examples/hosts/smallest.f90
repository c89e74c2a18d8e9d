! The smallest host in Fortran: four cells under a constant pressure; smallest_f90 BUNDLE
program smallest
  use, intrinsic :: iso_c_binding
  use mld_closure
  implicit none
  integer, parameter :: cells = 4, n = 64, steps = 12
  real(c_double), parameter :: dt = 0.3e-9_c_double
  integer(c_int64_t) :: ids(cells) = [10, 11, 12, 13]
  real(c_float) :: patches(n, n, cells)
  real(c_double) :: pressure(cells), burned(cells), rate(cells), next, mean
  character(1024) :: bundle
  type(closure) :: c
  integer :: step, x, y, k, ierr

  if (command_argument_count() /= 1) error stop "usage: smallest_f90 BUNDLE"
  call get_command_argument(1, bundle)
  do k = 1, cells
    pressure(k) = 5e9_c_double + 1e9_c_double*(k - 1)
    do y = 0, n - 1
      do x = 0, n - 1
        patches(x + 1, y + 1, k) = merge(0.0, 1.0, mod(31*y + 17*x + 7*(k - 1), 23) < 2)
      end do
    end do
  end do
  call c%open(trim(bundle), ierr, settings="device = 'cpu'"//new_line("a")//"threads = 1")
  call check
  call c%register_patches(ids, patches, ierr)
  call check
  do step = 0, steps - 1
    call c%begin_step(step*dt, dt, ierr)
    call check
    call c%advance(ids, pressure, ierr, burned_fraction=burned, burn_rate=rate)
    call check
    call c%commit(ierr)
    call check
  end do
  call c%dt_max(next, ierr)
  call check
  mean = sum(burned)/cells
  print "(a, es22.15, a, es10.3, a)", "mean burned fraction ", mean, ", longest next step ", next, " s"
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
