package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/redis"
	"signpost/keystore/vault"
)

// Source is a place of keys: a directory, or a store that is reached over the network.
type Source struct {
	Dir     string           // "" for a store
	Backend keystore.Backend // nil for a directory; it is not connected before its first use
}

// Name is the source for people, without passwords.
func (s Source) Name() string {
	if s.Backend != nil {
		return s.Backend.Name()
	}
	return s.Dir
}

// ParseSources reads directories and the URLs of stores, separated by commas. A
// directory whose name has commas is one where it exists.
func ParseSources(text string) ([]Source, error) { return parseSources(text, openStore) }

func parseSources(text string, open func(url string) (keystore.Backend, error)) (sources []Source, err error) {
	elements := strings.Split(text, ",")
	if _, err := os.Stat(text); err == nil && !isURL(text) {
		elements = []string{text}
	}
	var seen []string
	for _, element := range elements {
		if element != text {
			element = strings.TrimSpace(element)
		}
		if element == "" {
			return nil, finding.WithHint(errors.New("an empty name is not a place of keys"),
				"give directories and the URLs of stores, with one comma between")
		}
		source := Source{Dir: element}
		if isURL(element) {
			source.Dir = ""
			if source.Backend, err = open(element); err != nil {
				return nil, err
			}
		}
		same := element
		if source.Dir != "" {
			same = filepath.Clean(source.Dir)
		}
		if slices.Contains(seen, same) {
			return nil, finding.WithHint(fmt.Errorf("%s is given twice", source.Name()), "give it once")
		}
		seen, sources = append(seen, same), append(sources, source)
	}
	return sources, nil
}

// isURL tells the URL of a store from a directory: one has ://, or begins with a scheme
// of ours and does not exist.
func isURL(element string) bool {
	scheme, rest, ok := strings.Cut(element, ":")
	if !ok || strings.HasPrefix(rest, "//") && !strings.Contains(scheme, "/") {
		return ok // also where there is a directory redis:/host, for to hide a store would be worse
	}
	_, err := os.Stat(element)
	return err != nil && (strings.Contains(element, "://") || slices.Contains(storeSchemes(), strings.ToLower(scheme)))
}

// storeSchemes are what the URLs of stores begin with.
func storeSchemes() []string {
	return []string{
		"redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "vault",
	}
}

// openStore returns the store of a URL. It does not connect yet.
func openStore(url string) (keystore.Backend, error) {
	scheme, _, _ := strings.Cut(url, ":")
	switch scheme = strings.ToLower(scheme); {
	case scheme == "vault":
		return vault.New(url, os.Getenv)
	case slices.Contains(storeSchemes(), scheme):
		return redis.New(url)
	}
	return nil, finding.WithHint(fmt.Errorf("unknown scheme %q", scheme), "%sit is one of %s",
		didYouMean("", scheme, storeSchemes()), strings.Join(storeSchemes(), ", "))
}

func firstDirectory(sources []Source) string {
	for _, source := range sources {
		if source.Dir != "" {
			return source.Dir
		}
	}
	return ""
}

// WithoutPasswords returns the text of --keys as it may be shown.
func WithoutPasswords(text string) string {
	elements := strings.Split(text, ",")
	for i, element := range elements {
		begin, end := strings.Index(element, "://"), strings.LastIndex(element, "@")
		if begin < 0 || end < begin {
			continue
		}
		begin += len("://")
		if user, _, ok := strings.Cut(element[begin:end], ":"); ok {
			elements[i] = element[:begin] + user + ":" + redis.Hidden + element[end:]
		}
	}
	return strings.Join(elements, ",")
}
