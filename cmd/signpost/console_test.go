package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"signpost/test/lab/console"
)

// storySessions is where a story keeps which sessions of README.md it has yet to run.
type storySessions struct{}

// sessionsOf returns the blocks of each section of README.md in which output is shown.
func sessionsOf(t interface{ Fatalf(string, ...any) }, page string) map[string][][]console.Step {
	sections := make(map[string][][]console.Step)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for i, section := range strings.Split(string(text), "\n## ") {
		heading, _, _ := strings.Cut(section, "\n")
		if i == 0 {
			heading = "introduction"
		}
		for _, block := range console.Parse(section) {
			if slices.ContainsFunc(block, func(s console.Step) bool { return s.Output != "" }) {
				sections[heading] = append(sections[heading], block)
			}
		}
	}
	return sections
}

// readmeSession is the command readme of the stories:
//
//	readme SECTION [OLD=NEW ...]
//
// runs the next session in a section of README.md as it stands there, and compares what is
// printed; sessions without output are left out. What is called OLD there is NEW in the story:
// /etc/opendkim/keys is $SIGNPOST_KEYS, and localhost:8890 $DAEMON.
//
//	readme --left SECTION ...
//
// fails if any session has not been run, but for those of the sections.
func readmeSession(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: readme SECTION [OLD=NEW ...], or readme --left SECTION ...")
	}
	left := ts.Value(storySessions{}).(map[string][][]console.Step)
	if args[0] == "--left" {
		for section, blocks := range left {
			if len(blocks) > 0 && !slices.Contains(args[1:], section) {
				ts.Fatalf("in the section %s this was not run: %v", section, blocks)
			}
		}
		return
	}
	if len(left[args[0]]) == 0 {
		ts.Fatalf("no further session in the section %s", args[0])
	}
	there := []string{"/etc/opendkim/keys", ts.Getenv("SIGNPOST_KEYS"), "localhost:8890", ts.Getenv("DAEMON")}
	for _, arg := range args[1:] {
		old, name, _ := strings.Cut(arg, "=")
		there = append(there, old, name)
	}
	toStory := strings.NewReplacer(there...)
	block := left[args[0]][0]
	left[args[0]] = left[args[0]][1:]
	for _, step := range block {
		_ = ts.Exec("sh", "-c", "exec 2>&1; "+toStory.Replace(step.Command)) // whatever its exit code
		printed := ts.ReadFile("stdout")
		step.Output = toStory.Replace(step.Output)
		if !step.Matches(printed) {
			ts.Fatalf("$ %s\nprinted\n%s\nand README.md says\n%s", step.Command, printed, step.Output)
		}
	}
}

// statusPage is a command of the stories:
//
//	statuspage FILE
//
// serves a file as /status.json and /messages.json of a signpostd until the story ends, and
// sets $DAEMON to its address.
func statusPage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: statuspage FILE")
	}
	answer := []byte(ts.ReadFile(args[0]))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(answer)
	}))
	ts.Defer(server.Close)
	ts.Setenv("DAEMON", server.Listener.Addr().String())
}
