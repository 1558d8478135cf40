package confine_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// A confined process does what signpostd does, and nothing else, in every thread.
func TestConfined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, out, in := w.start(t)
	first, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ll.LandlockGetABIVersion(); err != nil {
		t.Skipf("no Landlock here: %v", err)
	}
	var version int
	if _, err := fmt.Sscanf(first, "confined %d true <nil>", &version); err != nil || version == 0 {
		t.Fatalf("not confined: %s", first)
	}
	// The key directory is replaced by another, as a deployment does.
	if err := errors.Join(os.Rename(w.Keys, w.Keys+".old"), os.Rename(w.Keys+".new", w.Keys)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "go on\n"); err != nil {
		t.Fatal(err)
	}
	refused, results := refusedFrom(), json.NewDecoder(out)
	for range 3 {
		var all map[string]string
		if err := results.Decode(&all); err != nil {
			t.Fatal(err)
		}
		for name, result := range all {
			t.Logf("%s: %s", name, cmp.Or(result, "allowed"))
			from, refused := refused[name]
			if refused && version >= from && result == "" {
				t.Errorf("%s is allowed", name)
			}
			if !refused && result != "" {
				t.Errorf("%s: %s", name, result)
			}
		}
		if len(all) != len(refused)+8 {
			t.Errorf("%d results, want %d", len(all), len(refused)+8)
		}
	}
}

// What a private process has in memory, another of the same user does not see.
func TestPrivate(t *testing.T) {
	t.Parallel()
	for _, private := range []bool{false, true} {
		waiting := world{Task: "wait", Private: private}
		cmd, out, _ := waiting.start(t)
		if _, err := out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		_, out, _ = world{Task: "look", Other: cmd.Process.Pid}.start(t)
		var seen map[string]string
		if err := json.NewDecoder(out).Decode(&seen); err != nil {
			t.Fatal(err)
		}
		for what, err := range seen {
			if private && !strings.Contains(err, "permitted") && !strings.Contains(err, "denied") {
				t.Errorf("private: %s: %s", what, err)
			}
		}
		if !private && seen["environ"] != "<nil>" {
			t.Errorf("not private, and its environment is: %v", seen)
		}
	}
}

// A private process leaves no core dump where another does.
func TestNoCoreDump(t *testing.T) {
	t.Parallel()
	dumps := func(private bool) bool {
		cmd, out, _ := world{Task: "dump", Private: private, Root: t.TempDir()}.start(t)
		io.Copy(io.Discard, out)
		cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if status.Signal() != syscall.SIGABRT {
			t.Fatalf("it ended with %v", cmd.ProcessState)
		}
		return status.CoreDump()
	}
	if !dumps(false) {
		t.Skip("no process leaves one here")
	}
	if dumps(true) {
		t.Error("it leaves one")
	}
}

// Where a container or systemd keeps Landlock and seccomp from it, it lives and says so.
func TestDegrades(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer uint32
		want   string
	}{
		"an old kernel": {unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS),
			`0 false "Landlock: the kernel does not have it, or not switched on\nseccomp: the kernel does not have it"`},
		"a container": {unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM),
			`0 false "Landlock: the container does not allow it: operation not permitted\nseccomp: operation not permitted"`},
		"systemd": {unix.SECCOMP_RET_KILL_PROCESS,
			`0 false "Landlock: the filter of system calls that is in force kills processes for it\n` +
				`seccomp: the filter of system calls that is in force kills processes for it"`},
	} {
		_, out, _ := world{Task: "degrade", Answer: test.answer}.start(t)
		if got, err := out.ReadString('\n'); err != nil || strings.TrimSpace(got) != test.want {
			t.Errorf("%s: error %v, got %s, want %s", name, err, got, test.want)
		}
	}
}
