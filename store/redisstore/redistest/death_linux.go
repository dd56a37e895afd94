package redistest

import "syscall"

// dieWithParent has the kernel kill a process when the thread that started it
// ends, as it does with the process.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
