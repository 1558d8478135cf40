package reports

import "bytes"

// split returns the parts of a multipart body (RFC 2046, section 5.1), without copying. It reads
// bodies without an end, too, and those that begin with another boundary than the header says.
// Without any boundary there are none.
func split(body []byte, boundary string) [][]byte {
	if parts := splitAt(body, []byte("--"+boundary)); boundary != "" && parts != nil {
		return parts
	}
	for line := range bytes.Lines(body) {
		line = bytes.TrimRight(line, " \t\r\n")
		if len(line) > 4 && bytes.HasPrefix(line, []byte("--")) {
			return splitAt(body, line)
		}
	}
	return nil
}

func splitAt(body, delimiter []byte) (parts [][]byte) {
	start := -1 // of a part
	for at := 0; at < len(body); {
		i := bytes.Index(body[at:], delimiter)
		if i < 0 {
			break
		}
		i += at
		line, _, _ := bytes.Cut(body[i+len(delimiter):], []byte("\n"))
		at = min(i+len(delimiter)+len(line)+1, len(body))
		after := bytes.TrimRight(line, " \t\r")
		last := string(after) == "--"
		if i > 0 && body[i-1] != '\n' || len(after) > 0 && !last {
			at = i + len(delimiter)
			continue // in a line, or the start of another boundary
		}
		if start >= 0 {
			parts = append(parts, body[start:max(start, i)])
		}
		start = at
		if last {
			return parts
		}
	}
	if start >= 0 {
		parts = append(parts, body[start:])
	}
	return parts
}
