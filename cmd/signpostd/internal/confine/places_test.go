package confine_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"signpost/cmd/signpostd/internal/confine"
)

// What must be readable so that the keys can be changed while signpostd runs.
func TestKeyPlaces(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ make, keys, want string }{
		"a directory":                {"etc/keys/a.private", "etc/keys", "etc"},
		"a link, as to a release":    {"srv/r/1/keys/a.private srv/r/current>1 x/keys>/srv/r/current/keys", "x/keys", "srv/r"},
		"a link on the way":          {"srv/d/v1/keys/a.private etc/dkim>/srv/d/v1", "etc/dkim/keys", "srv/d"},
		"Kubernetes":                 {"k/keys/..1/a.private k/keys/..data>..1 k/keys/a.private>..data/a.private", "k/keys", "k"},
		"links to Kubernetes":        {"k/dkim/..1/a k/dkim/..data>..1 k/dkim/a>..data/a etc/keys/a.private>/k/dkim/a", "etc/keys", "etc k/dkim"},
		"as certbot makes them":      {"le/archive/x/key1.pem le/live/x/key.pem>../../archive/x/key1.pem etc/keys/x.private>/le/live/x/key.pem", "etc/keys", "etc le/archive/x le/live/x"},
		"a folder elsewhere":         {"srv/k/example.org/s1.private etc/keys/example.org>/srv/k/example.org", "etc/keys", "etc srv/k"},
		"in a folder":                {"srv/k/s1 etc/keys/example.org/s1.private>/srv/k/s1", "etc/keys", "etc srv/k"},
		"a target that is not there": {"srv/k/other etc/keys/a.private>/srv/k/a", "etc/keys", "etc srv/k"},
		"links in a circle":          {"etc/keys/a.private>b.private etc/keys/b.private>a.private", "etc/keys", "etc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range strings.Fields(test.make) {
				file, target, link := strings.Cut(entry, ">")
				if strings.HasPrefix(target, "/") {
					target = root + target
				}
				file = filepath.Join(root, file)
				err := os.MkdirAll(filepath.Dir(file), 0o755)
				if link {
					err = errors.Join(err, os.Symlink(target, file))
				} else {
					err = errors.Join(err, os.WriteFile(file, nil, 0o600))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			got := confine.KeyPlaces(filepath.Join(root, test.keys))
			for i, place := range got {
				got[i] = strings.TrimPrefix(place, root+"/")
			}
			if want := strings.Fields(test.want); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// Nothing that is shared is opened for the sake of what is in it.
func TestShared(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"/", "/etc", "/data", "/home/alice", "/var/lib", "/usr/local", "/etc/ssl",
		"/etc/postfix", "/var/spool/postfix", "/proc/1/cwd"} {
		if !confine.Shared(dir) {
			t.Errorf("%s is not", dir)
		}
	}
	for _, dir := range []string{"/etc/opendkim", "/data/dkim", "/var/lib/opendkim", "/home/alice/dkim",
		"/run/systemd/resolve", "/var/spool/postfix/signpost"} {
		if confine.Shared(dir) {
			t.Errorf("%s is", dir)
		}
	}
	if places := confine.KeyPlaces("/etc/ssl"); !slices.Contains(places, "/etc/ssl") || slices.Contains(places, "/etc") {
		t.Errorf("keys in /etc/ssl: %q", places)
	}
}
