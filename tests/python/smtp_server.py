"""A real mail server for the tests: TLS and a login where it is told to, every mail as one line of JSON.

    smtp_server.py PORT [starttls|implicit CERTIFICATE KEY USER PASSWORD]
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
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "login": session.authenticated,
        }
        print(json.dumps(mail), flush=True)
        return "250 taken"


def main():
    port, rest = int(sys.argv[1]), sys.argv[2:]
    options = {}
    if rest:
        way, certificate, key, user, password = rest
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        def check(server, session, envelope, mechanism, data):
            fits = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
            return AuthResult(success=fits, handled=False)

        options = {"authenticator": check, "auth_required": True}
        if way == "implicit":
            # The library looks for STARTTLS only before it offers a login.
            options |= {"ssl_context": context, "auth_require_tls": False}
        else:
            options |= {"tls_context": context, "require_starttls": True}
    Controller(Print(), hostname="127.0.0.1", port=port, **options).start()
    print(json.dumps({"ready": port}), flush=True)
    threading.Event().wait()


main()
