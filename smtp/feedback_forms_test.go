package smtp

import (
	"errors"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

const dsn = `Return-Path: <>
Date: Sun, 29 Nov 2026 18:00:00 +0000
From: MAILER-DAEMON@mx.example.net
To: PATH
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; ann@example.com
GROUP
--b--
`

// report returns a report to the return path of c4n7.1, whose second group holds
// such fields.
func reportOf(v *VERP, group string) string {
	return strings.NewReplacer("PATH", v.address("c4n7.1"), "GROUP", group).Replace(dsn)
}

// Local delivery puts a "From " line before a mail, as in an mbox.
func TestMboxLineIsPassedOver(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	mail := reportOf(v, "Action: failed\nStatus: 5.1.1")
	const line = "From MAILER-DAEMON  Sun Nov 29 18:00:00 2026\n"
	for name, mail := range map[string]string{
		"From_":              line + mail,
		"From_, no sender":   "From  Sun Nov 29 18:00:00 2026\n" + mail,
		"From_, CRLF":        strings.ReplaceAll(line+mail, "\n", "\r\n"),
		">From_":             ">" + line + mail,
		"twice":              line + ">" + line + mail,
		"after an empty one": "\n" + line + mail,
		"after Delivered-To": "Delivered-To: <" + v.address("c4n7.1") + ">\r\n" + line + mail,
	} {
		f, err := ParseFeedback(strings.NewReader(mail), v)
		if err != nil || f.MessageID != "c4n7.1" || len(f.Receipts) != 1 || f.Receipts[0].State != channel.Failed ||
			f.Receipts[0].At.IsZero() {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	answer := "From: x@y.example\nTo: " + v.address("c4n7.1") + "\n\nFrom me to you\n"
	if f, err := ParseFeedback(strings.NewReader(answer), v); !errors.Is(err, ErrNotFeedback) {
		t.Errorf("an answer: %+v, %v", f, err)
	}
}

// An address is condemned only if the more specific of status and diagnostic says
// so, and no word speaks of a limit, a full mailbox or a policy.
func TestAddressIsCondemnedWithCare(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	const invalid, alive, policy = channel.InvalidRecipient, channel.Unreachable, channel.Misconfigured
	for _, tt := range []struct {
		status, diagnostic string
		class              channel.Class
		code               string
	}{
		{"5.1.1", "", invalid, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 User unknown", invalid, "5.1.1"},
		{"5.1.1 (bad destination mailbox address)", "smtp;550 user unknown", invalid, "5.1.1"},
		{"5.0.0", "smtp; 550 5.1.1 <ann@example.com>... User unknown", invalid, "5.1.1"},
		{"5.0.0", "smtp; 550-5.1.1 no such user", invalid, "5.1.1"},
		{"5.0.0", "smtp; 550 #5.1.1 no such user", invalid, "5.1.1"},
		{"5.1.0", "smtp; 550 5.1.1 no such user", invalid, "5.1.1"},
		{"5.1.1", "smtp; 550 5.0.0 rejected", invalid, "5.1.1"},
		{"5.1.1", "smtp; 552 5.2.2 mailbox full", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 5.7.1 rejected", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 Mailbox quota exceeded", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 Message rate limit exceeded", alive, "5.1.1"},
		{"5.1.1", "smtp; 554 5.1.1 rejected as spam", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 blocked using zen.spamhaus.example", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 192.0.2.1 has sent to too many recipients this hour", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 Daily limit reached", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 mailbox has exceeded the limit", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 no space left on device", alive, "5.1.1"},
		{"5.2.1", "smtp; 550 5.2.1 account is suspended", alive, "5.2.1"},
		{"5.1.1", "smtp; 550 5.1.1 temporarily unavailable", alive, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 refused due to recipient preferences", alive, "5.1.1"},
		{"5.1.3", "smtp; 553 http://www.spamhaus.example/query/bl?ip=192.0.2.1", alive, "5.1.3"},
		{"5.1.1", "smtp; 550-5.1.1 no such user https://support.mx.example/?p=NoSuchUser", invalid, "5.1.1"},
		{"5.1.1", "smtp; 550 5.1.1 User ann (ann@example.com) not listed in Address Book", invalid, "5.1.1"},
		{"5.1.1", "smtp; 450 4.2.1 later", channel.Temporary, "5.1.1"},
		{"5.2.1", "smtp; 550 5.2.1 The user you are trying to contact is receiving mail at a rate that", alive,
			"5.2.1"},
		{"5.0.0", "smtp; 552 5.2.2 full", alive, "5.2.2"},
		{"5.2.2", "smtp; 550 5.1.1 user unknown", alive, "5.2.2"},
		{"5.7.1", "smtp; 550 5.1.1 user unknown", policy, "5.7.1"},
		{"", "smtp; 550 5.1.1 mx.spamfilter.example: no such user", invalid, "5.1.1"},
		{"", "x-unix; unknown user", alive, ""},
		{"5.0.0", "smtp; 550 No such user", alive, "5.0.0"},
		{"4.4.7", "smtp; 550 5.1.1 unknown", channel.Temporary, "4.4.7"},
	} {
		group := "Action: failed\nStatus: " + tt.status
		if tt.diagnostic != "" {
			group += "\nDiagnostic-Code: " + tt.diagnostic
		}
		f, err := ParseFeedback(strings.NewReader(reportOf(v, group)), v)
		if err != nil || len(f.Receipts) != 1 || f.Receipts[0].Class != tt.class || f.Receipts[0].Code != tt.code {
			t.Errorf("%s, %s: %+v, %v; want %v, %s", tt.status, tt.diagnostic, f.Receipts, err, tt.class, tt.code)
		}
	}
}

// Mail systems have words of their own for actions.
func TestActions(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	for group, want := range map[string]channel.State{
		"Action: failed": channel.Failed, "Action: FAILURE": channel.Failed, "Action: error": channel.Failed,
		"Action: expired\nStatus: 4.4.7": channel.Failed, "Action: failed (gave up)": channel.Failed,
		"Status: 5.1.1": channel.Failed, "Action: delayed": channel.Sent, "Action: relayed": channel.Sent,
		"Action: deliverable": channel.Sent, "Action: delivered": channel.Delivered,
	} {
		f, err := ParseFeedback(strings.NewReader(reportOf(v, group)), v)
		if err != nil || len(f.Receipts) != 1 || f.Receipts[0].State != want {
			t.Errorf("%s: %+v, %v", group, f, err)
		}
	}
}

// A report is read where gateways leave it: enclosed in another mail, or with a
// damaged header.
func TestDamagedReports(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	mail := reportOf(v, "Action: failed\nStatus: 5.1.1")
	plain := "From: postmaster@gateway.example\nTo: bounces@mybank.example\nSubject: Fwd\nMIME-Version: 1.0\n"
	for name, mail := range map[string]string{
		"enclosed alone": plain + "Content-Type: message/rfc822\n\n" + mail,
		"enclosed": plain +
			"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n\n" + mail + "\n--o--\n",
		"garbage first":   "garbage without a colon\n more of it\n" + mail,
		"garbage between": strings.Replace(mail, "Subject:", "this is no field\nSubject:", 1),
		"no content type": strings.Replace(mail,
			"Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n", "", 1),
		"no boundary":    strings.Replace(mail, "; boundary=\"b\"", "", 1),
		"other boundary": strings.Replace(mail, "boundary=\"b\"", "boundary=\"c\"", 1),
		"malformed type": strings.Replace(mail, "multipart/report; report-type=delivery-status;",
			"multipart/report; ; ==;", 1),
		"ends too early": strings.Replace(mail, "MIME-Version:", "\nMIME-Version:", 1),
		"To behind it":   strings.Replace(mail, "\nTo: ", "\n\nTo: ", 1),
	} {
		cr := strings.ReplaceAll(mail, "\n", "\r")
		for _, way := range []string{
			mail, strings.ReplaceAll(mail, "\n", "\r\n"), cr, "Delivered-To: <x@mybank.example>\r\n" + cr,
		} {
			f, err := ParseFeedback(strings.NewReader(way), v)
			if err != nil || f.Kind != DeliveryReport || f.MessageID != "c4n7.1" || len(f.Receipts) != 1 ||
				f.Receipts[0].Class != channel.InvalidRecipient {
				t.Errorf("%s: %+v, %v\n%q", name, f, err, way)
			}
		}
	}
}

// Microsoft's Junk Mail Reporting Program encloses the mail that a reader
// complains of.
func TestJMRPComplaints(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	original := "X-HmXmrOriginalRecipient: <ann@hotmail.example>\nReturn-Path: " + v.address("c4n7.1") +
		"\nFrom: codes@mybank.example\nSubject: Your code\n\nYour code\n"
	const header = "From: <staff@hotmail.com>\nTo: fbl@mybank.example\nMIME-Version: 1.0\n" +
		"Subject: complaint about message from 192.0.2.1\n"
	for name, mail := range map[string]string{
		"alone": header + "Content-Type: message/rfc822\n\n" + original,
		"in multipart": header + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n" +
			original + "\n--b--\n",
	} {
		f, err := ParseFeedback(strings.NewReader(mail), v)
		if err != nil || f.Kind != Complaint || f.MessageID != "c4n7.1" || f.ComplaintType != "abuse" ||
			len(f.Receipts) != 1 || f.Receipts[0].State != channel.Delivered {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		forged := strings.ReplaceAll(mail, v.address("c4n7.1"), newVERP(t, returnPath, keyB).address("c4n7.1"))
		if f, err := ParseFeedback(strings.NewReader(forged), v); !errors.Is(err, ErrForgedToken) || f.MessageID != "" {
			t.Errorf("%s, forged: %+v, %v", name, f, err)
		}
	}
}

// A bounce in prose names the message, and condemns the address only if that is
// certain.
func TestBounceInProse(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	const daemon, exim = "From: MAILER-DAEMON@mx.example.net", "X-Failed-Recipients: ann@example.com\n" +
		"From: Mail Delivery System <Mailer-Daemon@mx.example.net>"
	const none = channel.Class(200) // no receipt
	for name, tt := range map[string]struct {
		header, text string
		class        channel.Class
		code         string
	}{
		"qmail": {daemon,
			"Hi. This is the qmail-send program at mx.example.net.\nI'm afraid I wasn't able to deliver " +
				"your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't " +
				"work out." +
				"\n\n<ann@example.com>:\nSorry, no mailbox here by that name. (#5.1.1)\n", channel.InvalidRecipient,
			"5.1.1"},
		"qmail, full": {daemon, "This is a permanent error; I've given up.\n<ann@example.com>:\n" +
			"The users mailfolder is over the allowed quota (size). (#5.2.2)\n", channel.Unreachable, "5.2.2"},
		"Exim": {exim, "This message was created automatically by mail delivery software.\n\nA message that you sent " +
			"could not be delivered to one or more of its\nrecipients. This is a permanent error. The following " +
			"address(es) failed:\n\n  ann@example.com\n    Unrouteable address\n", channel.InvalidRecipient, ""},
		"Exim, remote": {exim,
			"could not be delivered\n  ann@example.com\n    host mx [192.0.2.1]: 550 5.7.1 blocked " +
				"for spam\n", channel.Misconfigured, "5.7.1"},
		"Exim, no words": {exim, "Sorry.\n", channel.Unreachable, ""},
		"Exim, delay": {daemon,
			"This message was created automatically by mail delivery software.\nA message that you " +
				"sent has not yet been delivered to one or more of its recipients after more than 24 hours.\nNo " +
				"action " +
				"is " +
				"required on your part. Delivery attempts will continue", channel.Unknown, ""},
		"Exchange": {"From: postmaster@contoso.example", "Your message did not reach some or all of the intended " +
			"recipients.\n\nann@example.com\nThe e-mail address you entered couldn't be found.\n" +
			"#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##", channel.InvalidRecipient, "5.1.1"},
		"Google": {"From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
			"Delivery to the following recipient " +
				"failed permanently:\n\n ann@example.com\n\nTechnical details of permanent failure:\nThe error " +
				"that the " +
				"other " +
				"server returned was: 550 550 5.1.1 User unknown", channel.InvalidRecipient, "5.1.1"},
		"Google, rate": {daemon, "Delivery to the following recipient failed permanently: 550 5.2.1 The user you are " +
			"trying to contact is receiving mail at a rate that prevents additional messages", channel.Unreachable,
			"5.2.1"},
		"Yahoo": {daemon,
			"Sorry, we were unable to deliver your message to the following address.\n\n<ann@yahoo.com>:\n" +
				"554: delivery error: dd This user doesn't have a yahoo.com account (ann@yahoo.com)",
			channel.InvalidRecipient, ""},
		"Yahoo, policy": {daemon, "Sorry, we were unable to deliver your message to the following address.\n" +
			"<ann@yahoo.com>:\n554: 5.1.1 Message not accepted for policy reasons", channel.Unreachable, "5.1.1"},
		"OpenSMTPD": {daemon, "Hi!\n\nThis is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.\n\nAn error has " +
			"occurred while attempting to deliver a message for\nthe following list of recipients:\n\n" +
			"ann@example.com: No MX found for domain\n\nBelow is a copy of the original message:\n\nuser unknown",
			channel.Unreachable, ""},
		"a report in the text": {daemon, "An error occurred.\n\nReporting-MTA: dns; mx.example.net\n\n" +
			"Action: failed\nFinal-Recipient: rfc822; ann@example.com\nDiagnostic-Code: smtp; 550 5.1.1 unknown\n" +
			"Status: 5.0.0\n", channel.InvalidRecipient, "5.1.1"},
		"a delay in the text": {daemon, "Action: delayed\nFinal-Recipient: rfc822; ann@example.com\n" +
			"Status: 4.4.1\n", channel.Unknown, "4.4.1"},
		"a multipart without parts": {daemon + "\nContent-Type: multipart/report; boundary=b", "Sorry\n\n" +
			"Action: failed\nFinal-Recipient: rfc822; ann@example.com\nStatus: 5.2.2\n", channel.Unreachable, "5.2.2"},
		"a permanent status": {daemon, "Sent <<< RCPT TO:<ann@example.com>\nReceived >>> 550 5.1.1 user unknown\n",
			channel.InvalidRecipient, "5.1.1"},
		"a permanent status of the copy": {daemon, "Your mail was eaten.\n-- Message headers follow.\n\n" +
			"Subject: 550 5.1.1 user unknown\n", none, ""},
		"a delay with a status": {daemon, "Delivery has been delayed and will be retried: 450 4.7.1 greylisted",
			channel.Unknown, "4.7.1"},
		"in no words that we know": {daemon, "Your mail was eaten.\n", none, ""},
		"the copy has words": {daemon,
			"Your mail was eaten.\n--- Original message ---\n user unknown permanent error", none, ""},
		"in HTML": {daemon,
			"<html><p>Delivery to the following recipient <b>failed permanently</b>: 550 5.1.1 &lt;ann&gt; " +
				"user unknown</html>", channel.InvalidRecipient, "5.1.1"},
		"no sender": {"From: robot@mx.example.net\nSubject: Undeliverable: Your code", "It is a " +
			"permanent error", channel.Unreachable, ""},
		"null sender": {"Return-Path: <>\nFrom: robot@mx.example.net\nSubject: Undeliverable: Your code", "It is a " +
			"permanent error", channel.Unreachable, ""},
	} {
		mail := tt.header + "\nTo: " + v.address("c4n7.1") + "\nDate: Sun, 29 Nov 2026 18:00:00 +0000\n\n" + tt.text
		f, err := ParseFeedback(strings.NewReader(mail), v)
		if err != nil || f.Kind != UnknownForm || f.MessageID != "c4n7.1" || f.Kind.String() != "unknown form" {
			t.Errorf("%s: %+v, %v", name, f, err)
			continue
		}
		switch {
		case tt.class == none && len(f.Receipts) != 0:
			t.Errorf("%s: %+v", name, f)
		case tt.class == none:
		case len(f.Receipts) != 1 || f.Receipts[0].Class != tt.class || f.Receipts[0].Code != tt.code,
			(f.Receipts[0].State == channel.Sent) != (tt.class == channel.Unknown):
			t.Errorf("%s: %+v, want %v, %s", name, f, tt.class, tt.code)
		}
	}
	for name, mail := range map[string]string{
		"an answer": "From: Ann <ann@example.com>\nTo: PATH\nSubject: Re: Your code\n\nuser unknown, permanent " +
			"error\n",
		"an answer to a bounce": "From: Ann <ann@example.com>\nTo: PATH\nSubject: Re: Undeliverable: Your code\n\n" +
			"user unknown, permanent error\n",
		"an absence": "Return-Path: <>\nFrom: Ann <ann@example.com>\nTo: PATH\nSubject: Out of " +
			"office\nAuto-Submitted: auto-replied\n\nAway\n",
	} {
		mail = strings.ReplaceAll(mail, "PATH", v.address("c4n7.1"))
		if f, err := ParseFeedback(strings.NewReader(mail), v); !errors.Is(err, ErrNotFeedback) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}
