package system

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"

	"signpost/keystore/finding"
	"signpost/test/lab"
)

func TestMain(m *testing.M) {
	code, err := lab.Enter(build, func() int {
		flag.Parse()
		if !isSet("test.parallel") { // for most of the time Postfix is waited for
			flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
		}
		return m.Run()
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "system tests:", finding.Text(err))
	}
	os.Exit(code)
}

// isSet reports whether a flag is on the command line.
func isSet(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// build compiles the daemon and the companion, which watch themselves for data
// races and sign with libcrypto when the tests do.
func build(bin string) error {
	args := []string{"build", "-ldflags", "-s -w", "-o", bin + "/", "-tags", builtWith("-tags")}
	if builtWith("-race") == "true" {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "signpost/cmd/signpostd", "signpost/cmd/signpost")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// builtWith returns the value of an option with which this test binary was
// built.
func builtWith(option string) string {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == option {
			return s.Value
		}
	}
	return ""
}
