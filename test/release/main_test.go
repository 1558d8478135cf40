// Package release_test makes a release twice, in two folders, and runs what is in it, the programs
// for another architecture under qemu.
package release_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// What the release says of itself. No folder that it is made in has a git history.
const (
	version  = "1.2.3-test"
	revision = "0123456789abcdef0123456789abcdef01234567"
	epoch    = "1700000000" // 2023-11-14T22:13:20Z
	source   = "https://git.example.org/signpost"
)

// other is an architecture that is not this machine's, and emulator runs its programs.
var other, emulator = func() (arch, program string) {
	if runtime.GOARCH == "arm64" {
		return "amd64", "qemu-x86_64-static"
	}
	return "arm64", "qemu-aarch64-static"
}()

var folders string // is removed at the end

// withImages is whether buildah may make images, which some containers do not allow.
var withImages = os.Getenv("SIGNPOST_NO_CONTAINERS") != "1"

func TestMain(m *testing.M) {
	code := 1
	var err error
	if !withImages {
		fmt.Println("release: IMAGES NOT MADE, because SIGNPOST_NO_CONTAINERS=1")
	}
	if folders, err = os.MkdirTemp("", "signpost-release-"); err == nil {
		code = m.Run()
		err = os.RemoveAll(folders)
	}
	if err != nil {
		fmt.Println("release:", err)
		code = 1
	}
	os.Exit(code)
}

// makeOnce makes a release in one copy of the sources, and in another what is for the other
// architecture, and returns their folders.
var makeOnce = sync.OnceValues(func() (made [2]string, err error) {
	for i, in := range []struct{ root, umask, archs, domains string }{
		{filepath.Join(folders, "a"), "022", "amd64 arm64", ""},
		{filepath.Join(folders, "another folder/deeper"), "077", other, "example.org"},
	} {
		made[i] = filepath.Join(in.root, "build/release")
		if err := errors.Join(copySources(in.root), linkCompiler(in.root)); err != nil {
			return made, err
		}
		if err := release(in.root, in.umask, "ARCHS="+in.archs, "VERSION="+version,
			"ALLOWED_SENDER_DOMAINS="+in.domains); err != nil {
			return made, err
		}
	}
	return made, nil
})

// linkCompiler gives a copy the compiler for the other architecture that is here, or will be.
func linkCompiler(root string) error {
	compilers, err := filepath.Abs("../../build/cross")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(compilers, 0o755), os.Mkdir(filepath.Join(root, "build"), 0o755),
		os.Symlink(compilers, filepath.Join(root, "build/cross")))
}

// copySources copies what is under version control, or will be, as it is now.
func copySources(root string) error {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	names, err := list.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if err := copyFile(filepath.Join("../..", name), filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // removed, and not committed
	}
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// release makes a release in a copy, but for the parts that take long.
func release(root, umask string, env ...string) error {
	parts := "archives"
	if withImages {
		parts += " images"
	}
	cmd := exec.Command("sh", "-c", "umask "+umask+" && exec sh docker/release.sh")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), append(env, "REVISION="+revision, "SOURCE_DATE_EPOCH="+epoch, "SOURCE="+source,
		"PARTS="+parts, "RSA=", "OUT=", "CROSS=",
		"GZIP=-1")...) // takes a third of the time
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("docker/release.sh: %w\n%s", err, out)
	}
	return nil
}
