package look

import "signpost/keystore/report/tally"

// VerdictClass is the class of the style sheet that a verdict is shown with.
func VerdictClass(verdict tally.Safety) string {
	switch verdict {
	case tally.Safe:
		return "good"
	case tally.NotYet:
		return "wait"
	}
	return "quiet"
}

// VerdictMark stands beside the word of a verdict, so that colour is not all there is.
func VerdictMark(verdict tally.Safety) string {
	switch verdict {
	case tally.Safe:
		return "●"
	case tally.NotYet:
		return "◑"
	}
	return "○"
}
