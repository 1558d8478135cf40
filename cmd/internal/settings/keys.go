package settings

import (
	"github.com/urfave/cli/v2"

	"signpost/keystore"
)

// KeyDirectory reads where the keys are and what is required of them: what every
// verb that reads the key directory must know to give the answer of signpostd. The
// command need not have the flags, and others are flags of its own that share the
// name of a setting and not the meaning.
func KeyDirectory(c *cli.Context, others ...string) (keystore.Options, error) {
	r := &reader{c: c, others: others}
	options := r.keys()
	return options, r.err
}

func (r *reader) keys() keystore.Options {
	return keystore.Options{
		Dir:         r.value("keys").Text,
		Selectors:   parsed(r, "selector", keystore.ParseSelectors),
		MinBits:     r.number("min-key-bits", keystore.MinBits, 16384),
		RequireSafe: r.on("require-safe-keys"),
		Check:       parsed(r, "dns-check", parseCheck),
	}
}

func parseCheck(text string) (keystore.Check, error) {
	if text == "off" {
		return keystore.CheckOff, nil
	}
	return oneOf(keystore.CheckOn, keystore.CheckWarn, "off")(text)
}
