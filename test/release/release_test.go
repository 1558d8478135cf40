package release_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustMake(t *testing.T) (made [2]string) {
	t.Helper()
	made, err := makeOnce()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Whoever builds it again, in whatever folder, has the same files.
func TestSameEverywhere(t *testing.T) {
	t.Parallel()
	made := mustMake(t)
	want := []string{"contents.txt"}
	for _, arch := range []string{"amd64", "arm64"} {
		want = append(want, fmt.Sprintf("signpost_%s_linux_%s.tar.gz", version, arch))
		if withImages {
			want = append(want, fmt.Sprintf("image_signpost_%s_linux_%s.tar.gz", version, arch))
		}
	}
	slices.Sort(want)
	if first := sums(t, made[0]); !slices.Equal(slices.Sorted(maps.Keys(first)), want) {
		t.Errorf("files %q, want %q", slices.Sorted(maps.Keys(first)), want)
	} else {
		for name, sum := range sums(t, made[1]) {
			if strings.HasSuffix(name, "_"+other+".tar.gz") && sum != first[name] {
				t.Errorf("%s is not the same in another folder", name)
			}
		}
	}
}

// sums returns that of each file, and checks those that are noted.
func sums(t *testing.T, folder string) map[string]string {
	t.Helper()
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = folder
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	found := make(map[string]string)
	noted, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(noted)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		found[name] = sum
	}
	return found
}

// A reader of contents.txt knows what signs, and with which OpenSSL.
func TestContents(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(mustMake(t)[0], "contents.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"signpost " + version + " (0123456789, 2023-11-14), go1.",
		"amd64: signpostd signs RSA with libcrypto: ", "arm64: signpostd signs RSA with libcrypto: ", "libssl-dev 3."} {
		if !strings.Contains(string(content), want) {
			t.Errorf("no %q in\n%s", want, content)
		}
	}
}

// The archive has what a host needs, as root would unpack it.
func TestArchive(t *testing.T) {
	t.Parallel()
	folder := "signpost_" + version + "_linux_" + other
	modes := make(map[string]string)
	for header := range files(t, filepath.Join(mustMake(t)[0], folder+".tar.gz")) {
		name, ok := strings.CutPrefix(header.Name, folder+"/")
		if !ok || header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(time.Unix(1700000000, 0)) {
			t.Errorf("%s belongs to %d:%d and is of %v", header.Name, header.Uid, header.Gid, header.ModTime)
		}
		modes[name] = fmt.Sprintf("%o", header.Mode)
	}
	for name, want := range map[string]string{"": "755", "signpostd": "755", "signpost": "755", "README.md": "644",
		"LICENSE": "644", "CHANGELOG.md": "644",
		"man/signpost.1": "644", "man/signpost-keygen.1": "644", "man/signpostd.8": "644",
		"completions/signpost.bash": "644", "completions/signpost.zsh": "644", "completions/signpost.fish": "644"} {
		if modes[name] != want {
			t.Errorf("%s/%s has mode %q, want %s", folder, name, modes[name], want)
		}
	}
}

// An image says what it is, and has the programs of its architecture.
func TestImage(t *testing.T) {
	if !withImages {
		t.Skip("SIGNPOST_NO_CONTAINERS=1")
	}
	t.Parallel()
	made := mustMake(t)
	for _, arch := range []string{"amd64", "arm64"} {
		found := make(map[string][]byte)
		for header, content := range files(t, filepath.Join(made[0], "image_signpost_"+version+"_linux_"+arch+".tar.gz")) {
			found[header.Name] = content
		}
		var manifest []struct {
			Config           string
			RepoTags, Layers []string
		}
		var config struct {
			Architecture, OS string
			Created          string
			Config           struct {
				User        string
				Entrypoint  []string
				Labels      map[string]string
				Healthcheck struct{ Test []string }
			}
		}
		if err := json.Unmarshal(found["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
			t.Fatalf("error %v, manifest %s", err, found["manifest.json"])
		}
		if err := json.Unmarshal(found[manifest[0].Config], &config); err != nil {
			t.Fatal(err)
		}
		label := func(name string) string { return config.Config.Labels["org.opencontainers.image."+name] }
		got := []string{config.Architecture, config.OS, config.Created, config.Config.User,
			strings.Join(config.Config.Entrypoint, " "),
			strings.Join(config.Config.Healthcheck.Test, " "), strings.Join(manifest[0].RepoTags, " "),
			label("title"), label("version"), label("revision"), label("source"), label("created")}
		want := []string{arch, "linux", "2023-11-14T22:13:20Z", "65532:65532", "/signpostd",
			"CMD /signpost health", "signpost:" + version,
			"signpost", version, revision, source, "2023-11-14T22:13:20Z"}
		if !slices.Equal(got, want) {
			t.Errorf("the image of %s has\n%q, want\n%q", arch, got, want)
		}
		programs := unpack(t, made[0], arch)
		layer := make(map[string]string)
		for _, name := range manifest[0].Layers {
			for header, content := range entries(t, tar.NewReader(bytes.NewReader(found[name]))) {
				layer[header.Name] = string(content)
			}
		}
		for _, name := range []string{"signpost", "signpostd"} {
			if program, err := os.ReadFile(filepath.Join(programs, name)); err != nil || layer[name] != string(program) {
				t.Errorf("error %v, another %s in the image of %s than in the archive", err, name, arch)
			}
		}
	}
}

// What has a version that users have not been told of is no release.
func TestChangelog(t *testing.T) {
	t.Parallel()
	if _, err := makeOnce(); err != nil {
		t.Fatal(err)
	}
	err := release(filepath.Join(folders, "a"), "022", "VERSION=99.0.0")
	if err == nil || !strings.Contains(err.Error(), "CHANGELOG.md has no section [99.0.0]; hint: ") {
		t.Errorf("error %v", err)
	}
}

// What is in no commit has no revision that a release could name.
func TestUncommitted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := copySources(root); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "init", "-q", root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	err := release(root, "022", "VERSION=99.0.0")
	if err == nil || !strings.Contains(err.Error(), "the working tree has changes that are in no commit; hint: ") {
		t.Errorf("error %v", err)
	}
}

// unpack returns a folder with the archive of an architecture.
func unpack(t *testing.T, made, arch string) string {
	t.Helper()
	dir, name := t.TempDir(), "signpost_"+version+"_linux_"+arch
	unpack := exec.Command("tar", "-C", dir, "-xzf", filepath.Join(made, name+".tar.gz"))
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, name)
}

// files yields what is in a compressed archive.
func files(t *testing.T, path string) iter.Seq2[*tar.Header, []byte] {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	return entries(t, tar.NewReader(plain))
}

func entries(t *testing.T, archive *tar.Reader) iter.Seq2[*tar.Header, []byte] {
	return func(yield func(*tar.Header, []byte) bool) {
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(header, content) {
				return
			}
		}
	}
}
