package action

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"time"
)

// drainDelay is the time for what a command has printed to be read, once it has ended.
var drainDelay = 100 * time.Millisecond

// A child is a process that was started. It is waited for, and its output is read.
type child struct {
	process *os.Process
	output  output

	ended chan struct{} // closed once it has been reaped and its output read; then these hold:
	state *os.ProcessState
	err   error // it could not be waited for
}

// start starts the program. The child has descriptors of its own.
func (p *process) start(program string, stdin *os.File) (*child, error) {
	read, write, err := outputPipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	env := (&exec.Cmd{Env: p.env}).Environ() // the last of those with the same name counts
	c := &child{ended: make(chan struct{})}
	c.process, err = startProcess(program, p.argv, &os.ProcAttr{
		Dir: p.directory, Env: env, Files: []*os.File{stdin, write, write}, Sys: ownGroup(),
	})
	if err != nil {
		read.Close()
		return nil, err
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		if _, err := io.Copy(&c.output, read); errors.Is(err, os.ErrDeadlineExceeded) {
			copyRest(&c.output, read)
		}
	}()
	go c.wait(read, drained)
	return c, nil
}

// wait is for the child's end. What it has left running may hold its output open: then
// only what is there by drainDelay is read.
func (c *child) wait(output *os.File, drained <-chan struct{}) {
	defer close(c.ended)
	c.state, c.err = c.process.Wait()
	enough := time.AfterFunc(drainDelay, func() { endRead(output) })
	<-drained
	enough.Stop()
	output.Close()
}
