package system

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The clock of the host jumps, by a month and either way, while the daemon is down:
// what is known of the keys is then of long ago, or of a time to come. What signs
// stays the same.
func TestRotationWithClockMoved(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	for name, jump := range map[string]time.Duration{"forward": month, "back": -month} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := stateDir(t)
			r := startRotation(t, "--state="+state)
			move := func() {
				t.Helper()
				r.d.kill(syscall.SIGTERM)
				r.shiftState(state, -jump)
				for _, file := range []string{"s1", "s2"} {
					path := filepath.Join(r.keys, rotated, file+".private")
					info, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.Chtimes(path, time.Time{}, info.ModTime().Add(-jump)); err != nil {
						t.Fatal(err)
					}
				}
				r.start()
			}
			next := r.drop("s2")
			r.staysWith("s1")
			move()
			r.staysWith("s1")
			r.awaitStages(map[string]string{"s1": "active", "s2": "pending"})
			r.publish("s2", next, r.dns, r.second)
			r.awaitSigner("s2")
			r.awaitStages(map[string]string{"s1": "retiring", "s2": "active"})
			move()
			r.awaitSigner("s2")
			// A month on no mail is in transit any more; a month back it still is.
			r.awaitStages(map[string]string{"s1": map[bool]string{true: "retired", false: "retiring"}[jump > 0], "s2": "active"})
			r.fail(failures["SERVFAIL"])
			move()
			r.awaitSigner("s2")
			r.end()
		})
	}
}

// shiftState moves all times in the state of a daemon that does not run.
func (r *rotation) shiftState(dir string, by time.Duration) {
	r.t.Helper()
	file := stateFile(r.t, dir)
	data, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) < 2 { // what is known of a key that nobody asked about is nothing
		r.t.Fatalf("the state is\n%s", data)
	}
	for i, line := range lines[1:] {
		fields := strings.Fields(line)
		for j := 4; j < len(fields); j++ {
			if at, err := strconv.ParseInt(fields[j], 10, 64); err == nil && at != 0 {
				fields[j] = strconv.FormatInt(at+int64(by/time.Second), 10)
			}
		}
		lines[1+i] = strings.Join(fields, " ")
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
}
