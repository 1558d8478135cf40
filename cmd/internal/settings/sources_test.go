package settings

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// named is a store that has nothing but its name.
type named struct {
	keystore.Backend
	url string
}

func (n named) Name() string { return n.url }

func openNamed(url string) (keystore.Backend, error) {
	if strings.HasPrefix(url, "redis://bad") {
		return nil, errors.New("it is bad")
	}
	return named{url: url}, nil
}

func TestSources(t *testing.T) {
	t.Parallel()
	odd := filepath.Join(t.TempDir(), "a,b")
	if err := os.MkdirAll(odd+",redis://c", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"/keys":                     "dir /keys",
		"keys":                      "dir keys",
		"/missing:here":             "dir /missing:here",
		"redis://h":                 "store redis://h",
		"redis://h, /keys":          "store redis://h|dir /keys",
		"/a,/b,vault:https://v/s/d": "dir /a|dir /b|store vault:https://v/s/d",
		"redis:/h":                  "store redis:/h", // for the store to say what is wrong
		"Redis:h":                   "store Redis:h",
		odd:                         "dir " + odd,
		odd + ",redis://c":          "dir " + odd + ",redis://c",
		odd + ",redis://d":          "dir " + strings.TrimSuffix(odd, ",b") + "|dir b|store redis://d",
	} {
		sources, err := parseSources(text, openNamed)
		var got []string
		for _, s := range sources {
			if s.Backend != nil {
				got = append(got, "store "+s.Name())
			} else {
				got = append(got, "dir "+s.Name())
			}
		}
		if s := strings.Join(got, "|"); err != nil || s != want {
			t.Errorf("%s: %s, %v, want %s", text, s, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                     "an empty name is not a place of keys; hint: give directories",
		"/a,,/b":               "an empty name is not a place of keys",
		"/a,":                  "an empty name is not a place of keys",
		"/a,/b,/a/":            "/a/ is given twice",
		"/a,redis://bad":       "it is bad",
		"redis://h,redis://h":  "redis://h is given twice",
		"memcached://h":        `unknown scheme "memcached"; hint: it is one of redis, rediss, `,
		"redys://u:secret@h":   `unknown scheme "redys"; hint: did you mean redis? it is one of `,
		"vault2:https://h/s/d": `unknown scheme "vault2"; hint: did you mean vault? `,
	} {
		open := openNamed
		if strings.Contains(want, "unknown") {
			open = openStore
		}
		_, err := parseSources(text, open)
		if err == nil || !strings.HasPrefix(finding.Text(err), want) || strings.Contains(finding.Text(err), "secret") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// A directory that somebody made by mistake, with mkdir -p and the URL of a store, does not hide that.
func TestStoreBesideADirectoryOfItsName(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("redis://h/0", 0o700); err != nil {
		t.Fatal(err)
	}
	sources, err := parseSources("redis://h/0", openNamed)
	if err != nil || len(sources) != 1 || sources[0].Backend == nil {
		t.Errorf("got %v, %v", sources, err)
	}
}

func TestDirectoryOfSeveralSources(t *testing.T) {
	for text, want := range map[string]string{"/a": "/a", "/a,/b": "/a"} {
		s, err := ReadSigning(command(t, map[string]string{"keys": text}, nil))
		if err != nil || s.Keys.Dir != want || s.Keys.In("/b").Dir != "/b" {
			t.Errorf("%s: %q, %v", text, s.Keys.Dir, err)
		}
	}
	if _, err := ReadSigning(command(t, nil, map[string]string{"SIGNPOST_KEYS": "/a,,/b"})); err == nil ||
		!strings.HasPrefix(err.Error(), "SIGNPOST_KEYS: an empty name") {
		t.Error(err)
	}
}

func TestWithoutPasswords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/a,redis://u:se@cret@h:1/2,/b": "/a,redis://u:xxxxx@h:1/2,/b",
		"redis://:secret@h":             "redis://:xxxxx@h",
		"redis://u@h":                   "redis://u@h",
		"redis://h:6379/0?ca=/a":        "redis://h:6379/0?ca=/a",
		"vault:https://u:secret@h/s":    "vault:https://u:xxxxx@h/s",
		"/a@b:c@d":                      "/a@b:c@d",
		"redis://h:1":                   "redis://h:1",
	} {
		if got := WithoutPasswords(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
