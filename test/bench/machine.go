package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// printMachine says what was measured on, and what.
func printMachine(w io.Writer, o options) {
	fmt.Fprintf(w, "## Machine\n\n")
	fmt.Fprintf(w, "- %s, %d cores\n", find("/proc/cpuinfo", `model name\s*: (.*)`), runtime.NumCPU())
	fmt.Fprintf(w, "- %s, Linux %s\n", find("/etc/os-release", `PRETTY_NAME="(.*)"`), find("/proc/sys/kernel/osrelease", `(.*)`))
	fmt.Fprintf(w, "- %s, %s, Postfix %s\n", runtime.Version(), said(`(OpenSSL \S+)`, "openssl", "version"), said(`= (\S+)`, "postconf", "-d", "mail_version"))
	for entry := range strings.SplitSeq(o.daemons, ",") {
		name, program, _ := strings.Cut(entry, "=")
		fmt.Fprintf(w, "- %s: %s\n", name, said(`(.+)`, program, "--version"))
	}
	for _, name := range []string{"opendkim", "rspamd", "dkimpy-milter"} {
		fmt.Fprintf(w, "- %s %s (Debian)\n", name, said(`(.+)`, "dpkg-query", "-W", "-f", "${Version}", name))
	}
	fmt.Fprintf(w, "- %d rounds of %v\n\n", o.rounds, o.span)
}

// unknown stands for what cannot be found out.
const unknown = "unknown"

// find returns what a regular expression matches in a file.
func find(path, expression string) string {
	content, err := os.ReadFile(path)
	return match(string(content), err, expression)
}

// said returns what a regular expression matches in the output of a command.
func said(expression, name string, args ...string) string {
	out, err := exec.Command(name, args...).CombinedOutput()
	return match(string(out), err, expression)
}

func match(text string, err error, expression string) string {
	if found := regexp.MustCompile(expression).FindStringSubmatch(text); err == nil && found != nil {
		return strings.TrimSpace(found[1])
	}
	return unknown
}

// busy is the processor time that all of the machine has used so far.
func busy() time.Duration {
	// cpu user nice system idle iowait irq softirq steal (proc(5)). What a
	// hypervisor gave to others was not there for us either.
	fields := strings.Fields(find("/proc/stat", `cpu (.*)`))
	total := 0
	for i, field := range fields[:min(8, len(fields))] {
		if i != 3 && i != 4 {
			n, _ := strconv.Atoi(field)
			total += n
		}
	}
	return time.Duration(total) * tick
}

// own is the processor time that this process has used so far.
func own() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
