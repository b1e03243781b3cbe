#!/usr/bin/env python3
"""Adds optional packages of other platforms to package-lock.json.

npm drops from the lock file what its registry cannot show while it resolves, and `npm ci` then refuses the file. Run
this after `npm install` wherever the registry is a partial mirror: names and versions come from the packages that ask for
them, os, cpu and libc from the name. No integrity is recorded for them, so npm verifies nothing it cannot know.
"""
import json,collections,re
p='package-lock.json'
d=json.load(open(p),object_pairs_hook=collections.OrderedDict)
pk=d['packages']
OS={'android':'android','darwin':'darwin','mac':'darwin','freebsd':'freebsd','openbsd':'openbsd','netbsd':'netbsd','openharmony':'openharmony','linux':'linux','sunos':'sunos','win32':'win32','win':'win32','aix':'aix','windows':'win32'}
CPU={'arm64':'arm64','aarch64':'arm64','x64':'x64','ia32':'ia32','arm':'arm','armv7l':'arm','ppc64':'ppc64','ppc64le':'ppc64','riscv64':'riscv64','s390x':'s390x','loong64':'loong64','mips64el':'mips64el','wasm32':'wasm32'}
added=[]
def resolve(parent,name):
    base=parent
    while True:
        k=(base+'/' if base else '')+'node_modules/'+name
        if k in pk: return k
        if not base: return None
        base=base.rsplit('/node_modules/',1)[0] if '/node_modules/' in base else ''
for key in list(pk):
    e=pk[key]
    for name,ver in (e.get('optionalDependencies') or {}).items():
        if resolve(key,name): continue
        toks=re.split(r'[-/@]',name)
        os_=[OS[t] for t in toks if t in OS][:1]; cpu=[CPU[t] for t in toks if t in CPU][:1]
        n=collections.OrderedDict(version=re.sub(r'^[\^~]','',ver))
        if cpu: n['cpu']=cpu
        if e.get('dev'): n['dev']=True
        if 'musl' in toks: n['libc']=['musl']
        elif 'gnu' in toks: n['libc']=['glibc']
        n['optional']=True
        if os_: n['os']=os_
        added.append((name,n.get('version'),os_,cpu,key))
        pk['node_modules/'+name]=n
d['packages']=collections.OrderedDict([('',pk[''])]+sorted(((k,v) for k,v in pk.items() if k),key=lambda kv:kv[0]))
json.dump(d,open(p,'w'),indent=2,ensure_ascii=False);open(p,'a').write('\n')
print(f'{len(added)} added')
