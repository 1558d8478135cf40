package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"signpost/test/lab/nameserver"
)

// nsdServer is a command of the stories:
//
//	nsd ZONE=FILE[,FILE...] ...
//
// serves the zones from a real name server until the story ends, and sets
// $RESOLVER to its address.
func nsdServer(ts *testscript.TestScript, neg bool, args []string) {
	zones := make(map[string]string)
	for _, arg := range args {
		zone, files, found := strings.Cut(arg, "=")
		if neg || !found {
			ts.Fatalf("usage: nsd ZONE=FILE[,FILE...] ...")
		}
		for file := range strings.SplitSeq(files, ",") {
			zones[zone] += ts.ReadFile(file) + "\n"
		}
	}
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "nsd")
	ts.Check(err)
	server, err := nameserver.StartNSD(dir, "", zones, "127.0.0.1")
	ts.Check(err)
	ts.Defer(func() { server.Stop() })
	ts.Setenv("RESOLVER", net.JoinHostPort("127.0.0.1", server.Port))
}

// A hundred domains run a few at a time and come out in the order given.
func TestInOrder(t *testing.T) {
	var running, most atomic.Int32
	var items []int
	for i := range 100 {
		items = append(items, i)
	}
	var got []int
	for result := range inOrder(items, 16, func(i int) int {
		n := running.Add(1)
		defer running.Add(-1)
		for {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		return i
	}) {
		got = append(got, result)
	}
	if !slices.Equal(got, items) {
		t.Errorf("got %v", got)
	}
	if most.Load() > 16 {
		t.Errorf("%d at once", most.Load())
	}
	for result := range inOrder(items, 16, func(i int) string { return fmt.Sprint(i) }) {
		if result == "3" {
			break // whoever stops early leaves nobody waiting
		}
	}
}
