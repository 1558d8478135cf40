package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A process is a milter that runs, with the processes that it started.
type process struct {
	cmd *exec.Cmd
	log string // file of what it says
	end chan struct{}

	started time.Time
}

// startProcess runs a program, whose output goes to the file.
func startProcess(log string, name string, args ...string) (*process, error) {
	return startCommand(log, exec.Command(name, args...))
}

// startCommand is startProcess for a command that is made already.
func startCommand(log string, cmd *exec.Cmd) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: cmd, log: log, end: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.end)
	}()
	return p, nil
}

// stop ends the process, and what it started.
func (p *process) stop() {
	pids, _ := p.pids()
	for _, pid := range pids {
		if child, err := os.FindProcess(pid); err == nil {
			child.Kill()
		}
	}
	p.cmd.Process.Kill()
	<-p.end
}

// awaitSocket waits until the process takes connections.
func (p *process) awaitSocket(network, address string) error {
	for deadline := time.Now().Add(60 * time.Second); ; {
		conn, err := net.Dial(network, address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.end:
			return fmt.Errorf("%s ended at its start: %s", filepath.Base(p.cmd.Path), p.lastLines())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s takes no connections: %w: %s", filepath.Base(p.cmd.Path), err, p.lastLines())
		}
	}
}

// lastLines is the end of what it said.
func (p *process) lastLines() string {
	content, _ := os.ReadFile(p.log)
	return string(bytes.TrimSpace(content[max(0, len(content)-1000):]))
}

// pids are the process and all that descend from it.
func (p *process) pids() ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, path := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		fields, err := statFields(pid)
		if err != nil {
			continue // ended meanwhile
		}
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
	}
	pids := []int{p.cmd.Process.Pid}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids, nil
}

// statFields are those of /proc/PID/stat from the state on (proc(5)).
func statFields(pid int) ([]string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// tick is the unit of times in /proc, the same on all of Linux.
const tick = time.Second / 100

// cpu is the processor time that it and its descendants have used so far.
func (p *process) cpu() (total time.Duration, err error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		fields, err := statFields(pid)
		if err != nil {
			return 0, fmt.Errorf("%s: a process ended: %w: %s", filepath.Base(p.cmd.Path), err, p.lastLines())
		}
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		total += time.Duration(user+system) * tick
	}
	return total, nil
}

// memory is the sum of a line of /proc/PID/status over the processes (VmHWM is
// the peak), in MiB.
func (p *process) memory(line string) (float64, error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	total := 0
	for _, pid := range pids {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		_, rest, ok := strings.Cut(string(content), "\n"+line+":")
		if err != nil || !ok {
			return 0, fmt.Errorf("no %s of process %d: %w", line, pid, err)
		}
		kb, _ := strconv.Atoi(strings.Fields(rest)[0])
		total += kb
	}
	return float64(total) / 1024, nil
}

// freePort finds a port that nobody uses.
func freePort() (socket, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return socket{}, err
	}
	defer ln.Close()
	return socket{"tcp", ln.Addr().String()}, nil
}
