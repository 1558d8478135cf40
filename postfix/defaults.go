package postfix

// stockDefaults are the defaults of Postfix 3.9 for the parameters that we look
// at or that their values name, as "postconf -d" prints them.
func stockDefaults() map[string]string {
	const (
		sender     = "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}"
		subdomains = "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks," +
			"qmqpd_authorized_clients,relay_domains,smtpd_access_maps"
		relay = "${{$compatibility_level} <level {1} ? {} : " +
			"{permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination}}"
	)
	return map[string]string{
		"always_add_missing_headers":                "no",
		"body_checks":                               "",
		"canonical_maps":                            "",
		"compatibility_level":                       "0",
		"config_directory":                          "/etc/postfix",
		"content_filter":                            "",
		"disable_mime_output_conversion":            "no",
		"header_checks":                             "",
		"inet_interfaces":                           "all",
		"inet_protocols":                            "all",
		"internal_mail_filter_classes":              "",
		"local_header_rewrite_clients":              "permit_inet_interfaces",
		"mail_name":                                 "Postfix",
		"masquerade_domains":                        "",
		"milter_command_timeout":                    "30s",
		"milter_connect_macros":                     "j {daemon_name} {daemon_addr} v _",
		"milter_connect_timeout":                    "30s",
		"milter_content_timeout":                    "300s",
		"milter_data_macros":                        "i",
		"milter_default_action":                     "tempfail",
		"milter_end_of_data_macros":                 "i",
		"milter_end_of_header_macros":               "i",
		"milter_header_checks":                      "",
		"milter_helo_macros":                        "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
		"milter_macro_daemon_name":                  "$myhostname",
		"milter_mail_macros":                        sender,
		"milter_protocol":                           "6",
		"milter_rcpt_macros":                        "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
		"mydestination":                             "$myhostname, localhost.$mydomain, localhost",
		"mydomain":                                  "localdomain",
		"mynetworks_style":                          "${{$compatibility_level} <level {2} ? {subnet} : {host}}",
		"myorigin":                                  "$myhostname",
		"non_smtpd_milters":                         "",
		"parent_domain_matches_subdomains":          subdomains,
		"queue_directory":                           "/var/spool/postfix",
		"receive_override_options":                  "",
		"relay_domains":                             "${{$compatibility_level} <level {2} ? {$mydestination} : {}}",
		"relayhost":                                 "",
		"smtp_body_checks":                          "",
		"smtp_discard_ehlo_keyword_address_maps":    "",
		"smtp_discard_ehlo_keywords":                "",
		"smtp_generic_maps":                         "",
		"smtp_header_checks":                        "",
		"smtp_line_length_limit":                    "998",
		"smtp_mime_header_checks":                   "",
		"smtp_nested_header_checks":                 "",
		"smtpd_client_restrictions":                 "",
		"smtpd_data_restrictions":                   "",
		"smtpd_delay_reject":                        "yes",
		"smtpd_forbid_bare_newline":                 "normalize",
		"smtpd_forbid_bare_newline_exclusions":      "$mynetworks",
		"smtpd_forbid_unauth_pipelining":            "yes",
		"smtpd_helo_restrictions":                   "",
		"smtpd_milter_maps":                         "",
		"smtpd_milters":                             "",
		"smtpd_proxy_filter":                        "",
		"smtpd_recipient_restrictions":              "",
		"smtpd_relay_before_recipient_restrictions": "${{$compatibility_level} <level {3.6} ? {no} : {yes}}",
		"smtpd_relay_restrictions":                  relay,
		"smtpd_sasl_auth_enable":                    "no",
		"smtpd_sender_restrictions":                 "",
		"smtpd_tls_auth_only":                       "no",
		"smtpd_tls_security_level":                  "",
	}
}
