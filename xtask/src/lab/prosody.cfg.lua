-- One enterprise's XMPP server; the words in braces are filled in for each.
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
interfaces = { "{address}" }
modules_enabled = { "disco"; "tls"; "saslauth"; "ping"; "posix"; "admin_shell"; "s2s" }
-- Certificates are in the folder itself.
certificates = "{folder}"
modules_disabled = { "c2s" }
s2s_secure_auth = true
s2s_require_encryption = true
authentication = "internal_plain"
unbound = { resolvconf = true; hoststxt = false }
ssl = { cafile = "{folder}/trusted.pem" }
log = { info = "*console" }
VirtualHost "{domain}"
  ssl = { key = "{folder}/key.pem"; certificate = "{folder}/certificate.pem"; cafile = "{folder}/trusted.pem" }
