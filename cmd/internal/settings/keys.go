package settings

import (
	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/place"
	"signpost/keystore/rotation"
)

// Keys is where the keys are, what is required of them, and what the answers of the
// DNS are for.
type Keys struct {
	// Options have as Dir the first directory of the sources, "" where all are stores.
	keystore.Options
	Sources []Source // one or more, in the order given
	Text    string   // that names the sources, with the passwords of URLs
	Mode    rotation.Mode
}

// Use reads other sources in place of those.
func (k *Keys) Use(text string) error {
	sources, err := ParseSources(text)
	if err != nil {
		return err
	}
	k.Dir, k.Sources, k.Text = firstDirectory(sources), sources, text
	return nil
}

// In returns how the keys in a directory are read.
func (k *Keys) In(dir string) keystore.Options {
	options := k.Options
	options.Dir = dir
	return options
}

// Place returns the sources as a place to make and archive keys in.
func (k *Keys) Place() place.Place {
	var places []place.Place
	for _, source := range k.Sources {
		if source.Backend != nil {
			places = append(places, place.Store(source.Backend, k.Options))
		} else {
			places = append(places, place.Directory(k.In(source.Dir)))
		}
	}
	return place.Join(places)
}

// KeyDirectory reads where the keys are and what is required of them: what every
// verb that reads keys must know to give the answer of signpostd. The command need
// not have the flags, and others are flags of its own that share the name of a
// setting and not the meaning.
func KeyDirectory(c *cli.Context, others ...string) (Keys, error) {
	r := &reader{c: c, others: others}
	options := r.keys()
	return options, r.err
}

func (r *reader) keys() Keys {
	sources := parsed(r, "keys", ParseSources)
	return Keys{
		Options: keystore.Options{
			Dir:         firstDirectory(sources),
			Selectors:   parsed(r, "selector", keystore.ParseSelectors),
			MinBits:     r.number("min-key-bits", keystore.MinBits, keystore.MaxBits),
			RequireSafe: r.on("require-safe-keys"),
		},
		Sources: sources,
		Text:    r.value("keys").Text,
		Mode:    parsed(r, "dns-check", OneOf(rotation.On, rotation.Warn, rotation.Off)),
	}
}
