package authenticator_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/otp/authenticator"
)

// enrolment is one of an account.
func enrolment(t testing.TB, issuer, account string) *authenticator.Enrolment {
	t.Helper()
	r := newRig(t, func(c *authenticator.Config) { c.Issuer = issuer })
	e, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: account})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// accounts are an ordinary one, and one of the longest.
func accounts(t testing.TB) []*authenticator.Enrolment {
	return []*authenticator.Enrolment{
		enrolment(t, "Acme Bank", "ann@example.com"),
		enrolment(t, strings.Repeat("é", 32), strings.Repeat("x", 256)),
	}
}

func decodePNG(t testing.TB, b []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func dark(c color.Color) bool {
	r, _, _, _ := c.RGBA()
	return r < 0x8000
}

// TestQR: the image has whole modules and a white margin of four of them, and is at least
// as wide as asked for.
func TestQR(t *testing.T) {
	t.Parallel()
	for _, e := range accounts(t) {
		b, err := e.PNG(0)
		if err != nil {
			t.Fatal(err)
		}
		modules := decodePNG(t, b) // one pixel each
		n := modules.Bounds().Dx()
		for _, size := range []int{1, 50, 100, 240, 256, 1000} {
			b, err := e.PNG(size)
			if err != nil {
				t.Fatal(err)
			}
			img := decodePNG(t, b)
			side := img.Bounds().Dx()
			if side != img.Bounds().Dy() || side < size || side%n != 0 || side-size >= n {
				t.Errorf("size %d: %v for %d modules", size, img.Bounds(), n)
			}
			scale := side / n
			for y := range side {
				for x := range side {
					m := dark(modules.At(x/scale, y/scale))
					if dark(img.At(x, y)) != m {
						t.Fatalf("size %d: pixel %d,%d is not its module's", size, x, y)
					}
					if margin := min(x, y, side-1-x, side-1-y) < 4*scale; margin && m {
						t.Fatalf("size %d: pixel %d,%d of the margin is dark", size, x, y)
					}
				}
			}
			if !dark(img.At(4*scale, 4*scale)) {
				t.Errorf("size %d: the finder pattern does not begin after four modules", size)
			}
		}
	}
	for _, size := range []int{-1, 4097} {
		if _, err := enrolment(t, "Acme", "ann").PNG(size); err == nil {
			t.Errorf("a size of %d is taken", size)
		}
	}
}

// TestSVG: the element is well-formed, has the same modules as the PNG, colours of its own
// and a name for screen readers, and neither style nor script.
func TestSVG(t *testing.T) {
	t.Parallel()
	for _, e := range accounts(t) {
		text, err := e.SVG(`QR code for "Acme" & <co>`)
		if err != nil {
			t.Fatal(err)
		}
		var svg struct {
			ViewBox string `xml:"viewBox,attr"`
			Role    string `xml:"role,attr"`
			Label   string `xml:"aria-label,attr"`
			Title   string `xml:"title"`
			Paths   []struct {
				Fill string `xml:"fill,attr"`
				D    string `xml:"d,attr"`
			} `xml:"path"`
		}
		if err := xml.Unmarshal([]byte(text), &svg); err != nil {
			t.Fatal(err)
		}
		if svg.Role != "img" || svg.Label != `QR code for "Acme" & <co>` || svg.Title != svg.Label ||
			len(svg.Paths) != 2 ||
			svg.Paths[0].Fill != "#fff" || svg.Paths[1].Fill != "#000" {
			t.Errorf("%.300s", text)
		}
		for _, bad := range []string{"style", "script", "secret", e.URI, strings.ReplaceAll(e.Secret, " ", "")} {
			if strings.Contains(text, bad) {
				t.Errorf("the SVG has %q", bad)
			}
		}
		b, err := e.PNG(0)
		if err != nil {
			t.Fatal(err)
		}
		want := decodePNG(t, b)
		n := want.Bounds().Dx()
		if svg.ViewBox != fmt.Sprintf("0 0 %d %d", n, n) {
			t.Errorf("viewBox %s, %d modules", svg.ViewBox, n)
		}
		got := image.NewGray(want.Bounds())
		draw.Draw(got, got.Bounds(), image.White, image.Point{}, draw.Src)
		for _, run := range strings.Split(strings.TrimPrefix(svg.Paths[1].D, "M"), "M") {
			var x, y, long, back int
			if _, err := fmt.Sscanf(run, "%d %dh%dv1h-%dz", &x, &y, &long, &back); err != nil || long != back {
				t.Fatalf("%q: %v", run, err)
			}
			draw.Draw(got, image.Rect(x, y, x+long, y+1), image.Black, image.Point{}, draw.Src)
		}
		for y := range n {
			for x := range n {
				if dark(got.At(x, y)) != dark(want.At(x, y)) {
					t.Fatalf("module %d,%d differs from the PNG's", x, y)
				}
			}
		}
	}
	if text, err := enrolment(t, "Acme", "ann").SVG(""); err != nil || !strings.Contains(text, `aria-hidden="true"`) {
		t.Errorf("%.200s, %v", text, err)
	}
	r := newRig(t)
	k := authenticator.Key{Secret: secretOf(1), Counter: true, Digits: 6}
	e, err := r.Enroll(t.Context(), authenticator.Request{Subject: "ann", Key: &k})
	if err != nil || e.URI != "" || e.Secret != "" {
		t.Errorf("a hard token has a QR code: %v", err)
	}
	if _, err := e.SVG(""); err == nil {
		t.Error("an SVG of nothing")
	}
}

// onPage puts img into the middle of a page of one colour.
func onPage(img image.Image, page color.Color) image.Image {
	b := img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx()+80, b.Dy()+80))
	draw.Draw(out, out.Bounds(), image.NewUniform(page), image.Point{}, draw.Src)
	draw.Draw(out, b.Add(image.Pt(40, 40)), img, b.Min, draw.Src)
	return out
}

// TestRealZbar: zbar reads the URI from the image, on a white and on a dark page.
func TestRealZbar(t *testing.T) {
	t.Parallel()
	for i, e := range accounts(t) {
		for _, size := range []int{150, 240, 500} {
			b, err := e.PNG(size)
			if err != nil {
				t.Fatal(err)
			}
			for name, page := range map[string]color.Color{"white": color.White, "dark": color.RGBA{13, 17, 23, 255},
				"black": color.Black} {
				file := filepath.Join(t.TempDir(), "qr.png")
				var out bytes.Buffer
				if err := png.Encode(&out, onPage(decodePNG(t, b), page)); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				got := strings.TrimSpace(string(tool(t, "zbarimg", "--nodbus", "--quiet", "--raw", file)))
				if got != e.URI {
					t.Errorf("account %d, size %d on %s: %.80q", i, size, name, got)
				}
			}
		}
	}
}
