package otp

// Subject returns the names by which the Services of an application know a subject:
// its tag, a keyed hash that stands in [Event.Subject] and in the Subject of a
// store.Record, and the bucket that begins the IDs of the subject's records in a store.
// By the tag an operator finds a person's events, and package otp/authenticator names
// the subject of its own. Tenant is empty for the Service's own brand. k must be valid:
// one that [New] accepts.
func (k Keyring) Subject(application, tenant, subject string) (tag, bucket string, err error) {
	keys, err := k.application(application)
	if err != nil {
		return "", "", err
	}
	t := keys.subject(tenant, subjectForm(subject))
	i := id(t)
	of := bucketOf(t)
	copy(i[:], of[:])
	return t.String(), i.store()[:bucketLen], nil
}
