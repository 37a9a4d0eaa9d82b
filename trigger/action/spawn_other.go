//go:build !linux

package action

import "os"

// PrepareExec does nothing: there is nothing to prepare on this system.
func PrepareExec() {}

func startProcess(name string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	return os.StartProcess(name, argv, attr)
}
