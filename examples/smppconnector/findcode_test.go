package main

import "testing"

func TestFindCode(t *testing.T) {
	t.Parallel()
	rows := []struct{ text, code string }{
		{"Your verification code is 482910. Do not share this code.", "482910"},
		{"482 910 is your code. It expires in 5 minutes.", "482910"},
		{"Code 4829 expires in 10 min", "4829"},
		{"12-34-56", "123456"},
		{"code 4829 10 minutes", "4829"},
		{"Your code is 482", ""},
		{"Your code is 48291048291", ""},
		{"Old code 4829, new code 1234", ""},
		{"Welcome to MyBank", ""},
		{"", ""},
	}
	for _, r := range append(rows, guideTexts...) {
		if code, ok := findCode(r.text); code != r.code || ok != (r.code != "") {
			t.Errorf("%q: %q, %v, want %q", r.text, code, ok, r.code)
		}
	}
}
