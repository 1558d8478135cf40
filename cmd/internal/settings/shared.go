package settings

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// ParseShared reads the keys that any domain may use: SELECTOR=PATH, separated by commas.
func ParseShared(text string) (keys []keystore.KeyFile, err error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for entry := range strings.SplitSeq(text, ",") {
		name, path, found := strings.Cut(strings.TrimSpace(entry), "=")
		if !found || path == "" {
			return nil, finding.WithHint(fmt.Errorf("%q has no selector, or no file", entry),
				"write it like s1=/etc/signpost/shared.private")
		}
		key := keystore.KeyFile{Path: path}
		if key.Selector, err = keystore.Selector(name); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, func(other keystore.KeyFile) bool { return other.Selector == key.Selector }) {
			return nil, finding.WithHint(fmt.Errorf("two keys with the selector %s", key.Selector),
				"give each a selector of its own: both records must be in the DNS for a while")
		}
		keys = append(keys, key)
	}
	return keys, nil
}
