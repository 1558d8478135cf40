package postfix

// MilterSettings are the settings that an existing Postfix needs to have its
// mail signed: the milter for mail by SMTP and by sendmail(1), and mail put off
// while the milter cannot be reached.
func MilterSettings(address string) ([]Setting, error) {
	if err := checkMilter(address); err != nil {
		return nil, err
	}
	return []Setting{
		{Name: "smtpd_milters", Value: address},
		{Name: "non_smtpd_milters", Value: address},
		{Name: "milter_default_action", Value: "tempfail"},
		{Name: "milter_protocol", Value: "6"},
	}, nil
}
