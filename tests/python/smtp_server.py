"""A real mail server for the tests: STARTTLS and a login where it is told to, every mail as one line of JSON.

    smtp_server.py PORT [CERTIFICATE KEY USER PASSWORD]
"""

import json
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class Print:
    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode("utf-8", "replace"),
            "tls": session.ssl is not None,
            "login": session.authenticated,
        }
        print(json.dumps(mail), flush=True)
        return "250 taken"


def main():
    port, rest = int(sys.argv[1]), sys.argv[2:]
    options = {}
    if rest:
        certificate, key, user, password = rest
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        def check(server, session, envelope, mechanism, data):
            fits = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
            return AuthResult(success=fits, handled=False)

        options = {
            "tls_context": context,
            "require_starttls": True,
            "authenticator": check,
            "auth_required": True,
        }
    Controller(Print(), hostname="127.0.0.1", port=port, **options).start()
    print(json.dumps({"ready": port}), flush=True)
    threading.Event().wait()


main()
