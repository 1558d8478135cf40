package record

import (
	"errors"
	"fmt"
	"strings"
)

// EachLabel calls check for each label of a name, until one is wrong. Before, it
// applies the lengths that the DNS has (RFC 1035, section 2.3.4). The name has no
// final dot.
func EachLabel(name string, check func(label string) error) error {
	if name == "" {
		return errors.New("it is empty")
	}
	if len(name) > 253 {
		return errors.New("it is longer than 253 characters")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return errors.New("it has an empty label")
		}
		if len(label) > 63 {
			return fmt.Errorf("label %q is longer than 63 characters", label)
		}
		if err := check(label); err != nil {
			return err
		}
	}
	return nil
}
