package redisstore

import "testing"

// TestScriptsNameFields: a placeholder is replaced by where the field is, as Lua
// counts or as Redis counts.
func TestScriptsNameFields(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"c:sub(@record.expires.from, @record.expires.to)": "c:sub(17, 24)",
		"'@record.expires.at'":                            "'16'",
		"'@stamp[time name]'":                             "'>I8c8'",
		"'c@(record.group.length - nonce)'":               "'c9'",
		"@(0 - cell.length + 1) * i":                      "-13 * i",
		"'\\@status.exists'":                              "'\\1'",
		"return 1 .. '@end.late'":                         "return 1 .. 'late'",
	} {
		if got := expand(text); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// TestScriptsCannotMisname: a script that names a field that there is not, or
// reads two fields as neighbours that are not, does not start.
func TestScriptsCannotMisname(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"@record.expiry.from", "@record[expires nothing]", "@record[expires max_attempts]",
		"@(nonce - x)", "@x"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was expanded", text)
				}
			}()
			expand(text)
		}()
	}
}

// TestFieldsHoldWhatIsPut: a field holds the integer that is put into it, and its
// neighbours keep theirs.
func TestFieldsHoldWhatIsPut(t *testing.T) {
	t.Parallel()
	b := make([]byte, jobLayout.Rest.at)
	at := &jobLayout
	at.Rank.put(b, 3)
	at.Attempts.put(b, 1<<32-1)
	at.Expires.put(b, 1<<53-2)
	at.Due.put(b, 7)
	s := string(b)
	if at.Rank.get(s) != 3 || at.Attempts.get(s) != 1<<32-1 || at.Expires.get(s) != 1<<53-2 || at.Due.get(s) != 7 {
		t.Errorf("% x", s)
	}
}
