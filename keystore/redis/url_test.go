package redis

import (
	"slices"
	"strings"
	"testing"

	"signpost/keystore/finding"
)

func TestURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // the name and the hosts, or the error
		"redis://db.example": "redis://db.example:6379/0 db.example:6379",
		"redis://user:secret@db.example:7000/3?layout=mailcow":    "redis://db.example:7000/3?layout=mailcow db.example:7000",
		"rediss://[::1]/0?ca=/ca&cert=/c&key=/k&server_name=db":   "rediss://[::1]:6379/0 [::1]:6379",
		"redis+sentinel://s1/dkim?addr=s2&addr=s3:99":             "redis+sentinel://s1:26379/dkim/0 s1:26379 s2:26379 s3:99",
		"rediss+sentinel://s1/dkim/2?sentinel_password_file=/pw":  "rediss+sentinel://s1:26379/dkim/2 s1:26379",
		"redis+cluster://n1:7000?addr=n2:7000&prefix={d}k":        "redis+cluster://n1:7000?prefix={d}k n1:7000 n2:7000",
		"redis://:p%40ss@db.example/?prefix=keys&selectors=names": "redis://db.example:6379/0?prefix=keys db.example:6379",

		"":                                            "scheme",
		"redis:db.example":                            "URL",
		"http://db.example":                           `scheme "http"`,
		"redis+proxy://db.example":                    `scheme "redis+proxy"`,
		"redis://":                                    "host: invalid address",
		"redis://db.example:0":                        "host: invalid address",
		"redis://db.example:99999":                    "host: invalid address",
		"redis://db.example:secret":                   "URL",
		"redis://user:se%zzcret@db.example":           "URL",
		"redis://user:12/secret@db.example":           "special characters of a password",
		"redis://user:12?secret@db.example":           "special characters of a password",
		"redis://user:xxxxx@db.example":               "in place of a password",
		"redis://db.example/one":                      `database "one"`,
		"redis://db.example/-1":                       `database "-1"`,
		"redis://db.example/01":                       `database "01"`,
		"redis://db.example/0/1":                      `database "0/1"`,
		"redis+sentinel://s1":                         "the name of the master",
		"redis+sentinel://s1/dkim/x":                  `database "x"`,
		"redis+cluster://n1/1":                        `database "1"`,
		"redis://db.example?addr=other":               "addr",
		"redis+cluster://n1?addr=":                    "addr",
		"redis://db.example?colour=red":               `parameter "colour"`,
		"redis://db.example?layout=exim":              `layout "exim"`,
		"redis://db.example?layout=":                  "layout",
		"redis://db.example?prefix=a&prefix=":         "prefix",
		"redis://db.example?layout=mailcow&prefix=a":  "mailcow's names",
		"redis://db.example?prefix=a&selectors=a":     "same hash",
		"redis://u:secret@db.example?password_file=a": "password_file",
		"redis://db.example?sentinel_password_file=a": "sentinel_password_file",
		"redis://db.example?ca=/ca":                   "rediss",
		"rediss://db.example?cert=/c":                 "cert, key",
		"redis://db.example?a=%zz":                    "parameters",
		"redis://db.example#0":                        "URL",
	} {
		b, err := New(text)
		if err == nil {
			if got := b.Name() + " " + strings.Join(b.servers.hosts, " "); got != want {
				t.Errorf("%s: got %s, want %s", text, got, want)
			}
			continue
		}
		what, hint := finding.Split(err)
		if !strings.Contains(what+hint, want) || hint == "" {
			t.Errorf("%s: %s; hint: %s; want %s", text, what, hint, want)
		}
		if strings.Contains(what+hint, "secret") && !strings.Contains(want, "secret") && strings.Contains(text, "secret@") {
			t.Errorf("%s: it shows the password: %s; %s", text, what, hint)
		}
	}
}

// A URL is refused, or its name is one that means the same server.
func FuzzURL(f *testing.F) {
	f.Add("redis://user:secret@db.example:7000/3?layout=rspamd&prefix=keys")
	f.Add("rediss+sentinel://s1/dkim/2?addr=s2&ca=/ca")
	f.Add("redis+cluster://[::1]:7000?addr=n2")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseURL(text)
		if err != nil {
			if _, hint := finding.Split(err); hint == "" {
				t.Errorf("%v: no hint", err)
			}
			return
		}
		again, err := parseURL(c.name())
		if err != nil {
			t.Fatalf("%s: %v", c.name(), err)
		}
		if !slices.Equal(again.hosts, c.hosts[:1]) || again.db != c.db || again.kind != c.kind || again.master != c.master {
			t.Errorf("%s became %s", text, again.name())
		}
	})
}
