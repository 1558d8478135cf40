// Package confine takes from the process what it does not need once it has started,
// so that whoever makes it run code of theirs gets little else: Landlock limits files
// and TCP, seccomp limits system calls, and its memory is for itself. Nothing of it can
// be undone. It covers all threads, in programs with and without cgo.
//
// A kernel or container without one of them gives an error and keeps the rest.
package confine

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rights are what the process keeps beside what it has open, but for reading.
type Rights struct {
	Write   []string // directories whose files may be written, made, replaced and removed
	Remove  []string // directories whose files may be removed
	Connect []uint16 // ports to connect to by TCP
	// ConnectAll lets it connect to all ports by TCP.
	ConnectAll bool
}

// Force is what is in force.
type Force struct {
	Landlock int  // the version of its interface, 0 for none
	Seccomp  bool // system calls are filtered
}

// Private keeps the memory of the process, which has keys in it, out of core dumps and
// from debuggers of the same user. It should come first.
func Private() error {
	core := syscall.Setrlimit(unix.RLIMIT_CORE, &syscall.Rlimit{})
	dumpable := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	return errors.Join(named("RLIMIT_CORE", core), named("PR_SET_DUMPABLE", dumpable))
}

// Process confines all but reading: no file is written and no program started any more,
// no connection made but as the rights say.
func Process(rights Rights) (Force, error) {
	version, err := restrict(rights.rules())
	filterErr := filterCalls()
	return Force{Landlock: version, Seccomp: filterErr == nil},
		errors.Join(named("Landlock", err), named("seccomp", filterErr))
}

// Reading confines reading to these files and directories, with all in them, and to
// what the Go runtime and metrics read of the process in /proc. Paths that are not
// there are left out.
func Reading(paths []string) error {
	rules, err := readRules(paths)
	if err == nil {
		_, err = restrict(rules)
	}
	return named("Landlock", err)
}

func named(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// isDir reports whether there is a directory, or something else, at the path.
func isDir(path string) (dir, there bool) {
	info, err := os.Stat(path)
	return err == nil && info.IsDir(), err == nil
}
