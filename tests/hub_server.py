"""A small Hugging Face Hub on loopback: the Hub's HTTP protocol, which fails on command.

Repositories live in memory. Large files go the LFS way (batch, upload in one piece or in parts,
verify) and come back by a redirect to another host name, `localhost`, which plays the CDN; what is
fetched there must carry no token."""
import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

# tokens of `user`: one may write, one may only read
WRITER, READER = 'hf_' + 'w' * 34, 'hf_' + 'r' * 34


def git_oid(content):
    return hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()

def sha256(content):
    return hashlib.sha256(content).hexdigest()


@dataclass
class Fault:
    "What happens to requests instead of the usual, `times` times."
    method: str
    path: str  # regular expression, searched in the path
    times: int = 1
    status: int | None = None  # answer this
    headers: dict = field(default_factory=dict)
    cut: int | None = None  # break the connection after so many bytes of the body
    until: threading.Event | None = None  # and let the client wait for that


@dataclass
class Repo:
    private: bool = False
    sdk: str | None = None
    commits: dict = field(default_factory=dict)  # sha → {path: content}, oldest first
    refs: dict = field(default_factory=dict)  # branch or tag → sha
    large: set = field(default_factory=set)  # paths that are LFS

    def commit(self, files, branch='main'):
        tree = {**self.commits.get(self.refs.get(branch), {}), **files}
        listed = [(path, git_oid(tree[path])) for path in sorted(tree)]
        sha = hashlib.sha1(repr([len(self.commits), *listed]).encode()).hexdigest()
        self.commits[sha], self.refs[branch] = tree, sha
        return sha


class Hub(ThreadingHTTPServer):
    "`with Hub() as hub:` … `hub.url` … ; everything that was asked is in `hub.requests`."
    daemon_threads = True

    def __init__(self, chunk=None):
        super().__init__(('127.0.0.1', 0), Handler)
        self.url, self.cdn = (f'http://{host}:{self.server_port}'
                              for host in ('127.0.0.1', 'localhost'))
        self.repos, self.blobs, self.parts = {}, {}, {}
        self.chunk = chunk  # size of the parts that large files are uploaded in; None: in one piece
        self.faults, self.requests = [], []
        self.lock = threading.Lock()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs=dict(poll_interval=.02),
                         daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def put(self, repo_id, files, private=False, branch='main'):
        "A repository as somebody else left it; names of files are not checked."
        repo = self.repos.setdefault(('model', repo_id), Repo(private))
        repo.large |= {path for path in files if path.endswith('.safetensors')}
        return repo.commit(files, branch)

    def files(self, repo_id, kind='model'):
        repo = self.repos[kind, repo_id]
        return repo.commits[repo.refs['main']]

    def asked(self, method, path):
        "The requests of a kind, as (method, path, headers)."
        return [r for r in self.requests if r[0] == method and re.search(path, r[1])]

    def fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, status=200, body=b'', cut=None, **headers):
        if not isinstance(body, bytes):
            body, headers['Content-Type'] = json.dumps(body).encode(), 'application/json'
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace('_', '-'), str(value))
        if 'Content-Length' not in headers:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            if self.until:
                self.until.wait(60)
            self.close_connection = True

    def refuse(self, status, code, message):
        self.answer(status, {'error': message}, X_Error_Code=code, X_Error_Message=message)

    def user(self):
        "(name, may write) of whoever asks, or None."
        token = (self.headers.get('Authorization') or '').removeprefix('Bearer ')
        return {WRITER: ('user', True), READER: ('user', False)}.get(token)

    def handle_any(self):
        url = urlsplit(self.path)
        path, self.query = unquote(url.path), parse_qs(url.query)
        self.server.requests.append((self.command, path,
                                     {k.lower(): v for k, v in self.headers.items()}))
        chunked = 'Transfer-Encoding' in self.headers
        self.body = (self.chunks() if chunked
                     else self.rfile.read(int(self.headers.get('Content-Length') or 0)))
        fault = self.server.fault(self.command, path)
        self.cut, self.until = (fault.cut, fault.until) if fault else (None, None)
        if fault and fault.status:
            return self.answer(fault.status, {'error': 'on command'}, **fault.headers)
        if self.headers.get('Authorization') and not self.user():
            return self.answer(401, {'error': 'no'},
                               X_Error_Message='Invalid credentials in Authorization header')
        for method, pattern, function in ROUTES:
            if self.command in method.split() and (match := re.fullmatch(pattern, path)):
                return function(self, **match.groupdict())
        self.answer(404, {'error': f'{self.command} {path} is not spoken here'})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def chunks(self):
        body = b''
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def repo(self, kind, id, rev='main'):
        "(repository, commit, its files), or None after a refusal."
        repo = self.server.repos.get((kind, id))
        if repo is None or (repo.private and not self.user()):
            self.refuse(404 if self.user() else 401, 'RepoNotFound', 'Repository not found')
        elif not (sha := repo.refs.get(rev, rev if rev in repo.commits else None)) and repo.commits:
            self.refuse(404, 'RevisionNotFound', f'Invalid rev id: {rev}')
        else:
            return repo, sha, repo.commits.get(sha, {})

    def may_write(self, id):
        if not self.user():
            self.refuse(401, '', 'Invalid username or password.')
        elif not self.user()[1] or id.split('/')[0] != self.user()[0]:
            self.refuse(403, '', "You don't have the rights to write to this repository")
        else:
            return True

    # --- repositories

    def whoami(self):
        if self.user():
            self.answer(body={'type': 'user', 'name': self.user()[0]})
        else:
            self.answer(401, {'error': 'no'})

    def create(self):
        ask = json.loads(self.body)
        kind, id = ask.get('type') or 'model', f"{ask.get('organization') or 'user'}/{ask['name']}"
        if not self.may_write(id):
            return
        url = f"{self.server.url}/{'spaces/' if kind == 'space' else ''}{id}"
        if (kind, id) in self.server.repos:
            return self.answer(409, {'error': 'You already have it', 'url': url})
        private = ask.get('visibility') == 'private' or bool(ask.get('private'))
        self.server.repos[kind, id] = Repo(private, ask.get('sdk'))
        self.answer(body={'url': url})

    def info(self, kind, id, rev='main'):
        if not (found := self.repo(kind, id, rev)):
            return
        repo, sha, files = found
        self.answer(body={'id': id, 'modelId': id, 'sha': sha, 'private': repo.private, 'tags': [],
                          'downloads': 0, 'siblings': [{'rfilename': path} for path in files]})

    def tree(self, kind, id, rev):
        if not (found := self.repo(kind, id, rev)):
            return
        repo, _, files = found
        def entry(path, content):
            lfs = {'oid': sha256(content), 'size': len(content), 'pointerSize': 134}
            return {'type': 'file', 'path': path, 'size': len(content), 'oid': git_oid(content),
                    **({'lfs': lfs} if path in repo.large else {})}
        self.answer(body=[entry(*item) for item in files.items()])

    # --- uploading

    def validate_yaml(self):
        import yaml
        from huggingface_hub.repocard_data import model_index_to_eval_results
        ask = json.loads(self.body)
        match = re.match(r'---\n(.*?)\n---\n', ask['content'], re.S)
        if not match:
            return self.answer(body={'errors': [], 'warnings': [{'message': 'empty metadata'}]})
        try:
            data = yaml.safe_load(match[1])
            if 'model-index' in data:
                model_index_to_eval_results(data['model-index'])
        except Exception as error:
            return self.answer(400, {'errors': [{'message': repr(error)}], 'warnings': []})
        self.answer(body={'errors': [], 'warnings': []})

    def preupload(self, kind, id, rev):
        if not self.may_write(id) or not (found := self.repo(kind, id, rev)):
            return
        repo, _, files = found
        def mode(path):
            return 'lfs' if path.endswith('.safetensors') else 'regular'
        def oid(path):
            if path not in files:
                return None
            return (sha256 if path in repo.large else git_oid)(files[path])
        self.answer(body={'files': [{'path': f['path'], 'uploadMode': mode(f['path']),
                                     'shouldIgnore': False, 'oid': oid(f['path'])}
                                    for f in json.loads(self.body)['files']]})

    def batch(self, id):
        if not self.may_write(id):
            return
        def actions(oid, size):
            if oid in self.server.blobs:
                return {}
            upload = {'href': f'{self.server.cdn}/lfs/{oid}'}
            if self.server.chunk:
                count = -(-size // self.server.chunk)
                upload = {'href': f'{self.server.url}/lfs/{oid}/complete', 'header': {
                    'chunk_size': str(self.server.chunk),
                    **{str(k): f'{self.server.cdn}/lfs/{oid}/part/{k}'
                       for k in range(1, count + 1)}}}
            return {'actions': {'upload': upload,
                                'verify': {'href': f'{self.server.url}/lfs/verify'}}}
        objects = [{**o, **actions(o['oid'], o['size'])} for o in json.loads(self.body)['objects']]
        self.answer(body={'transfer': 'multipart' if self.server.chunk else 'basic',
                          'objects': objects})

    def put_blob(self, oid):
        if sha256(self.body) != oid:
            return self.answer(400, {'error': 'wrong content'})
        self.server.blobs[oid] = self.body
        self.answer()

    def put_part(self, oid, k):
        self.server.parts.setdefault(oid, {})[int(k)] = self.body
        self.answer(ETag=git_oid(self.body))

    def complete(self, oid):
        parts = self.server.parts.pop(oid)
        for part in json.loads(self.body)['parts']:
            if git_oid(parts[part['partNumber']]) != part['etag']:
                return self.answer(400, {'error': 'wrong part'})
        self.server.blobs[oid] = b''.join(parts[k] for k in sorted(parts))
        self.answer(200 if sha256(self.server.blobs[oid]) == oid else 400, {})

    def verify(self):
        ask = json.loads(self.body)
        self.answer(200 if len(self.server.blobs.get(ask['oid'], b'')) == ask['size'] else 404, {})

    def commit(self, kind, id, rev):
        if not self.may_write(id) or not (found := self.repo(kind, id, rev)):
            return
        files = {}
        for line in map(json.loads, self.body.splitlines()):
            value = line['value']
            if line['key'] == 'file':
                files[value['path']] = base64.b64decode(value['content'])
            if line['key'] == 'lfsFile':
                files[value['path']] = self.server.blobs[value['oid']]
                found[0].large.add(value['path'])
        sha = found[0].commit(files, rev)
        self.answer(body={'commitUrl': f'{self.server.url}/{id}/commit/{sha}', 'commitOid': sha,
                          'success': True})

    # --- downloading

    def resolve(self, id, rev, file, kind='model'):
        if not (found := self.repo(kind, id, rev)):
            return
        repo, sha, files = found
        if file not in files:
            return self.refuse(404, 'EntryNotFound', 'Entry not found')
        content, headers = files[file], dict(X_Repo_Commit=sha, Accept_Ranges='bytes')
        if file in repo.large:
            self.server.blobs[sha256(content)] = content
            return self.answer(302, ETag=f'"{git_oid(content)}"',
                               X_Linked_ETag=f'"{sha256(content)}"', X_Linked_Size=len(content),
                               Location=f'{self.server.cdn}/cdn/{sha256(content)}', **headers)
        self.send_content(content, ETag=f'"{git_oid(content)}"', **headers)

    def cdn(self, oid):
        self.send_content(self.server.blobs[oid], ETag=f'"{oid}"')

    def send_content(self, content, **headers):
        start = (int(m[1]) if (m := re.match(r'bytes=(\d+)-', self.headers.get('Range') or ''))
                 else None)
        if start is not None:
            headers['Content-Range'] = f'bytes {start}-{len(content) - 1}/{len(content)}'
        body = content[start or 0:]
        if self.command == 'HEAD':
            headers['Content-Length'] = len(body)
        self.answer(200 if start is None else 206, body, cut=self.cut, **headers)


_ID, _KIND = r'(?P<id>[^/]+/[^/]+)', r'/api/(?P<kind>model|space)s/'
ROUTES = [
    ('GET', '/api/whoami-v2', Handler.whoami),
    ('POST', '/api/repos/create', Handler.create),
    ('POST', '/api/validate-yaml', Handler.validate_yaml),
    ('GET', _KIND + _ID, Handler.info),
    ('GET', _KIND + _ID + '/revision/(?P<rev>.+)', Handler.info),
    ('GET', _KIND + _ID + '/tree/(?P<rev>[^/]+)', Handler.tree),
    ('POST', _KIND + _ID + '/preupload/(?P<rev>.+)', Handler.preupload),
    ('POST', _KIND + _ID + '/commit/(?P<rev>.+)', Handler.commit),
    ('POST', '/(?:spaces/)?' + _ID + r'\.git/info/lfs/objects/batch', Handler.batch),
    ('PUT', '/lfs/(?P<oid>[0-9a-f]+)', Handler.put_blob),
    ('PUT', r'/lfs/(?P<oid>[0-9a-f]+)/part/(?P<k>\d+)', Handler.put_part),
    ('POST', '/lfs/(?P<oid>[0-9a-f]+)/complete', Handler.complete),
    ('POST', '/lfs/verify', Handler.verify),
    ('GET HEAD', '/' + _ID + '/resolve/(?P<rev>[^/]+)/(?P<file>.+)', Handler.resolve),
    ('GET HEAD', '/cdn/(?P<oid>[0-9a-f]+)', Handler.cdn),
]
