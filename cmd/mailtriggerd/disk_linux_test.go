package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A daemon that finds its disk full at the start says so and ends with a code at which
// systemd starts it again; with room, it goes on.
func TestStartOnAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=512k"); err != nil {
		if !errors.Is(err, os.ErrPermission) {
			t.Fatalf("a tmpfs cannot be mounted: %v", err)
		}
		t.Skip("only root, outside of a container that forbids it, can mount a small disk to fill")
	}
	defer func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) }()
	srv := newMailServer(t)
	d := newService(t, strings.Replace(officeConfig(srv, `metrics.listen = ""`, invoiceTrigger), `state_dir = "state"`, `state_dir = "`+disk+`/state"`, 1))
	filler := filepath.Join(disk, "filler")
	fill := func() {
		t.Helper()
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		for _, err = io.CopyN(f, zeros{}, 1<<10); err == nil; _, err = io.CopyN(f, zeros{}, 1<<10) {
		}
		f.Close()
	}
	fill()
	for range 2 {
		d.start()
		select {
		case <-d.exited:
		case <-time.After(20 * time.Second):
			t.Fatalf("it runs on:\n%s", d.log())
		}
		if code := d.cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(d.log(), "is full; make room") {
			t.Errorf("exit code %d\n%s", code, d.log())
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	d.start()
	d.says(1, 30*time.Second, "mailtriggerd is running")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
