package confine

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

const (
	readFile  landlock.AccessFSSet = ll.AccessFSReadFile
	readDir   landlock.AccessFSSet = ll.AccessFSReadDir
	removable landlock.AccessFSSet = ll.AccessFSRemoveFile
	writable  landlock.AccessFSSet = ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | removable
)

// ruleset is what is refused, but for what rules allow.
type ruleset struct {
	refused landlock.Config
	rules   []landlock.Rule
}

// known is the version of Landlock whose rights are refused, the last that is tested.
const known = 7

// rules returns those for all but reading.
func (r Rights) rules() ruleset {
	set := ruleset{refused: landlock.V7}
	set.refused.HandledAccessFS &^= readFile | readDir
	set.rules = append(set.rules,
		landlock.PathAccess(writable, r.Write...).IgnoreIfMissing(),
		landlock.PathAccess(removable, r.Remove...).IgnoreIfMissing())
	if r.ConnectAll {
		set.refused.HandledAccessNet &^= ll.AccessNetConnectTCP
		return set
	}
	for _, port := range r.Connect {
		set.rules = append(set.rules, landlock.ConnectTCP(port))
	}
	return set
}

// signalsScoped reports whether signals can be kept in the process. Each thread gets
// a domain of its own, and kernels before 6.15 without the fix refuse signals between
// them, which the Go runtime needs.
func signalsScoped() bool {
	const threadsFixed = 1 << 1
	errata, err := ll.LandlockGetErrata()
	return err == nil && errata&threadsFixed != 0
}

// readRules returns those for reading.
func readRules(paths []string) (ruleset, error) {
	set := ruleset{refused: landlock.Config{HandledAccessFS: readFile | readDir}}
	process := "/proc/" + strconv.Itoa(os.Getpid())
	for _, path := range []string{process, "/proc/stat"} {
		// The kernel forgets entries of /proc, and a rule holds for the one that it was made
		// with. What is open is not forgotten, so these stay open.
		if _, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return set, fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, path := range append(paths, process, "/proc/stat") {
		access := readFile
		dir, there := isDir(path)
		if !there {
			continue
		}
		if dir {
			access |= readDir
		}
		set.rules = append(set.rules, landlock.PathAccess(access, path).IgnoreIfMissing())
	}
	return set, nil
}

// restrict puts a ruleset in force in all threads, as far as the kernel knows it, and
// returns the version of Landlock.
func restrict(set ruleset) (version int, err error) {
	err = survivable(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if err != nil {
		return 0, err
	}
	version, err = ll.LandlockGetABIVersion()
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		return 0, errors.New("the kernel does not have it, or not switched on")
	case err != nil:
		return 0, fmt.Errorf("the container does not allow it: %w", err)
	}
	// With cgo the library finds the threads there, and kills the process if it cannot.
	if tasks, err := os.Open("/proc/self/task"); err != nil {
		return 0, err
	} else {
		tasks.Close()
	}
	if !signalsScoped() {
		set.refused.Scoped &^= ll.ScopeSignal
	}
	if err := set.refused.BestEffort().Restrict(set.rules...); err != nil {
		return 0, err
	}
	return min(version, known), nil
}
