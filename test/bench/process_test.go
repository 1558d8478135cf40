package main

import (
	"path/filepath"
	"testing"
)

func TestDescendantsCount(t *testing.T) {
	t.Parallel()
	// The shell says so when its child runs.
	p, err := startProcess(filepath.Join(t.TempDir(), "log"), "sh", "-c", "sleep 60 & echo started; wait")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	for p.lastLines() != "started" {
		select {
		case <-p.end:
			t.Fatal("the shell ended")
		default:
		}
	}
	pids, err := p.pids()
	if err != nil || len(pids) != 2 {
		t.Errorf("processes %v, %v; want two", pids, err)
	}
	if _, err := p.cpu(); err != nil {
		t.Error(err)
	}
	if _, err := p.memory("VmNothing"); err == nil {
		t.Error("a line that is not there is no error")
	}
}

func TestEarlyEndIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := startProcess(filepath.Join(dir, "log"), "sh", "-c", "echo no such setting; exit 1")
	if err != nil {
		t.Fatal(err)
	}
	err = p.awaitSocket("unix", filepath.Join(dir, "sock"))
	if err == nil || err.Error() != "sh ended at its start: no such setting" {
		t.Errorf("got %v", err)
	}
}
