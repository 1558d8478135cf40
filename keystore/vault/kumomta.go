package vault

import (
	"encoding/json"
	"errors"

	"signpost/keystore"
)

// kumoSecret is the secret of one key as KumoMTA has it. What is more in it is not read by
// KumoMTA.
type kumoSecret struct {
	Key  *text `json:"key"`
	Ours *ours `json:"signpost,omitempty"`
}

// kumoEntry reads such a secret. The entry has neither data nor an error where the key was
// archived.
func kumoEntry(s secret, selector, place string) keystore.Entry {
	entry := keystore.Entry{Selector: selector, Place: place, Made: s.created}
	var k kumoSecret
	var fields map[string]json.RawMessage
	if json.Unmarshal(s.data, &fields) == nil && len(fields) == 0 {
		return entry
	}
	for _, value := range fields {
		clear(value)
	}
	switch err := json.Unmarshal(s.data, &k); {
	case err != nil:
		entry.Err = errors.New("its key is not a text")
	case k.Key == nil || len(*k.Key) == 0:
		entry.Err = errors.New(`the secret has no field "key"`)
	default:
		entry.Data = *k.Key
	}
	if k.Ours != nil && k.Ours.Made != 0 {
		entry.Made = k.Ours.Made.time()
	}
	return entry
}
