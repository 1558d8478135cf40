package confine_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"signpost/cmd/signpostd/internal/confine"
)

// world is what a process of a test finds: it is the test program itself, told so by
// the environment.
type world struct {
	Task              string
	Private           bool
	Root, Keys, State string
	Outside           string // a file that everybody may read
	DNS, Elsewhere    string // where something listens
	Unix, Socket      string // the same of another process, and one of its own
	Other             int    // another process
	Answer            uint32 // of a filter
}

const worldVariable = "CONFINE_TEST_WORLD"

func TestMain(m *testing.M) {
	text := os.Getenv(worldVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var w world
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		panic(err)
	}
	if w.Task == "dump" {
		var limit unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_CORE, &limit)
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: limit.Max, Max: limit.Max})
	}
	if w.Private {
		if err := confine.Private(); err != nil {
			panic(err)
		}
	}
	switch w.Task {
	case "degrade":
		w.degrade()
	case "confine":
		w.confine()
	case "look":
		json.NewEncoder(os.Stdout).Encode(w.look())
	case "dump":
		syscall.Kill(os.Getpid(), syscall.SIGABRT) // with GOTRACEBACK=crash, a core dump
		select {}
	case "wait":
		fmt.Println("waiting")
		io.ReadAll(os.Stdin)
	}
}

// confine tries everything in threads that were there before and in new ones, and
// writes the results.
func (w *world) confine() {
	const threads = 3
	begin, results := make(chan bool), make(chan map[string]string)
	for range threads {
		go func() {
			runtime.LockOSThread()
			<-begin
			results <- w.try()
		}()
	}
	_, text, _ := net.SplitHostPort(w.DNS)
	port, _ := strconv.ParseUint(text, 10, 16)
	force, err := confine.Process(confine.Rights{Write: []string{w.State},
		Remove: []string{filepath.Dir(w.Socket)}, Connect: []uint16{uint16(port)}})
	if err == nil {
		err = confine.Reading(append(confine.KeyPlaces(w.Keys), w.State))
	}
	fmt.Println("confined", force.Landlock, force.Seccomp, err)
	bufio.NewReader(os.Stdin).ReadString('\n')
	for range threads { // one after the other, for they write the same files
		begin <- true
		json.NewEncoder(os.Stdout).Encode(<-results)
	}
}

// degrade is confined within a filter that answers to all of Landlock and seccomp.
func (w *world) degrade() {
	var filter []bpf.Instruction
	filter = append(filter, bpf.LoadAbsolute{Off: 0, Size: 4})
	for _, call := range []uint32{unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_SECCOMP} {
		filter = append(filter, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 1},
			bpf.RetConstant{Val: w.Answer})
	}
	program, err := bpf.Assemble(append(filter, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}))
	if err != nil {
		panic(err)
	}
	load := unix.SockFprog{Len: uint16(len(program)), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&load)), 0, 0); err != nil {
		panic(err)
	}
	force, err := confine.Process(confine.Rights{})
	fmt.Printf("%d %t %q\n", force.Landlock, force.Seccomp, err)
}

// look tries to see what is in the memory of another process.
func (w *world) look() map[string]string {
	results := make(map[string]string)
	for _, file := range []string{"environ", "maps", "mem"} {
		opened, err := os.Open(fmt.Sprintf("/proc/%d/%s", w.Other, file))
		opened.Close()
		results[file] = fmt.Sprint(err)
	}
	runtime.LockOSThread()
	results["ptrace"] = fmt.Sprint(unix.PtraceAttach(w.Other))
	results["process_vm_readv"] = fmt.Sprint(readMemory(w.Other))
	return results
}

// start starts the process of a world.
func (w world) start(t *testing.T) (cmd *exec.Cmd, out *bufio.Reader, in io.WriteCloser) {
	t.Helper()
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), worldVariable+"="+string(text), "GOTRACEBACK=crash")
	cmd.Dir = w.Root
	if w.Task == "look" || w.Task == "wait" {
		cmd.SysProcAttr = asUser()
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewReader(stdout), in
}

// asUser makes a process one of a user that may not do everything.
func asUser() *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// newWorld makes the directories and listeners of a world.
func newWorld(t *testing.T) world {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := world{Task: "confine", Root: root, Keys: root + "/etc/keys", State: root + "/state",
		Outside: root + "/outside", Socket: root + "/run/socket", Other: os.Getpid()}
	for _, dir := range []string{w.Keys, w.State, w.Keys + ".new", root + "/run"} {
		err = errors.Join(err, os.MkdirAll(dir, 0o755))
	}
	for _, file := range []string{w.Outside, w.Keys + "/key", w.Keys + ".new/new"} {
		err = errors.Join(err, os.WriteFile(file, []byte("x"), 0o644))
	}
	listen := func(network, address string) string {
		ln, listenErr := net.Listen(network, address)
		if listenErr != nil {
			t.Fatal(listenErr)
		}
		t.Cleanup(func() { ln.Close() })
		return ln.Addr().String()
	}
	w.DNS, w.Elsewhere = listen("tcp", "127.0.0.1:0"), listen("tcp", "127.0.0.1:0")
	w.Unix = listen("unix", root+"/unix")
	if err != nil {
		t.Fatal(err)
	}
	return w
}
