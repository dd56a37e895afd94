package main

import (
	"fmt"
	"testing"
)

// A page sends codes to a few numbers only, however often the person starts again.
func TestPageCodes(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	_, link := r.newPage(signUp)
	v := r.visit()
	v.get(link)
	for i := range pageCodes {
		v.post("/verify/send", "phone", fmt.Sprintf("+44791234560%d", i)).says("Enter the code").post("/verify/change")
	}
	v.post("/verify/send", "phone", "+447912345609").says("No more messages can be sent")
	if n := r.people.count(); n != pageCodes {
		t.Errorf("%d messages were sent", n)
	}
}

// A message is bound to the hosted page only if the application has one.
func TestOrigin(t *testing.T) {
	t.Parallel()
	pages := []string{"https://shop.example/"}
	for _, c := range []struct {
		public, want string
		app          application
	}{
		{"https://verify.shop.example", "verify.shop.example", application{ReturnURLs: pages}},
		{"https://verify.shop.example", "", application{}},
		{"https://verify.shop.example", "shop.example", application{Origin: "shop.example", ReturnURLs: pages}},
		{"", "shop.example", application{Origin: "shop.example"}},
		{"https://verify.shop.example:8443", "", application{ReturnURLs: pages}}, // the last line has no port
		{"http://127.0.0.1:8080", "", application{ReturnURLs: pages}},
	} {
		s := &server{c: &config{PublicURL: c.public}}
		if got := s.origin(c.app); got != c.want {
			t.Errorf("%q %+v: got %q, want %q", c.public, c.app, got, c.want)
		}
	}
}
