# SPDX-License-Identifier: GPL-2.0-or-later
"""A page in headless Chromium: what it says, shows, logs and asks for."""

import base64
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading

NAMES = ('chromium-headless-shell', 'chromium', 'google-chrome')
WAIT = 20


def program():
    for name in NAMES:
        if shutil.which(name):
            return name
    return None


class Proxy:
    """Everything the browser wants from a network comes by here."""

    def __init__(self):
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.asked = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                with self.socket.accept()[0] as one:
                    one.settimeout(1)
                    self.asked.append(one.recv(200))
            except TimeoutError:
                self.asked.append(b'')
            except OSError:
                return

    def address(self):
        return 'http://127.0.0.1:%d' % self.socket.getsockname()[1]


class Browser:
    """Spoken to over a pair of pipes, one JSON text and a NUL each."""

    def __init__(self):
        self.proxy = Proxy()
        self.folder = tempfile.mkdtemp(prefix='chromium-')
        out_r, self.out = os.pipe()
        self.into, in_w = os.pipe()

        def pipes():
            a, b = os.dup(out_r), os.dup(in_w)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.log = open(os.path.join(self.folder, 'log'), 'w')
        self.child = subprocess.Popen(
            [program(), '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
             '--disable-background-networking', '--remote-debugging-pipe', '--hide-scrollbars',
             '--proxy-server=' + self.proxy.address(), '--proxy-bypass-list=<-loopback>',
             '--user-data-dir=' + self.folder],
            preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log,
            env={**os.environ, 'HOME': self.folder, 'TMPDIR': self.folder})
        os.close(out_r)
        os.close(in_w)
        self.rest, self.last, self.events, self.session = b'', 0, [], None
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target,
                                 flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(domain + '.enable')

    def close(self):
        os.close(self.out)
        self.child.terminate()
        self.child.wait(WAIT)
        os.close(self.into)
        self.proxy.socket.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def message(self):
        while b'\0' not in self.rest:
            assert select.select([self.into], [], [], WAIT)[0], 'the browser says nothing'
            more = os.read(self.into, 1 << 20)
            assert more, 'the browser is gone: ' + open(self.log.name).read()
            self.rest += more
        text, self.rest = self.rest.split(b'\0', 1)
        return json.loads(text)

    def call(self, method, **params):
        self.last += 1
        text = {'id': self.last, 'method': method, 'params': params}
        if self.session:
            text['sessionId'] = self.session
        os.write(self.out, json.dumps(text).encode() + b'\0')
        while True:
            got = self.message()
            if got.get('id') == self.last:
                assert 'error' not in got, (method, got['error'])
                return got['result']
            self.events.append(got)

    def seen(self, *methods):
        return [e['params'] for e in self.events if e.get('method') in methods]

    def open(self, url, width, height, scheme, mobile=False):
        """Loads it afresh; what it logged and asked for is in said() and asked()."""
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)
        self.call('Emulation.setEmulatedMedia',
                  features=[{'name': 'prefers-color-scheme', 'value': scheme}])
        self.events = []
        self.call('Page.navigate', url=url)
        while not self.seen('Page.loadEventFired'):
            self.events.append(self.message())

    def said(self):
        """Errors, warnings, and whatever else is in the console."""
        return self.seen('Runtime.consoleAPICalled', 'Runtime.exceptionThrown',
                         'Log.entryAdded')

    def asked(self):
        """The addresses of all requests, and what came by the proxy."""
        return ([e['request']['url'] for e in self.seen('Network.requestWillBeSent')],
                self.proxy.asked)

    def value(self, script):
        got = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        assert 'exceptionDetails' not in got, got
        return got['result'].get('value')

    def picture(self, name):
        got = self.call('Page.captureScreenshot', format='png', captureBeyondViewport=True)
        with open(name, 'wb') as f:
            f.write(base64.b64decode(got['data']))
