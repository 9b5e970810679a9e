"""The bill of materials of a package, as SPDX 2.3 in JSON: every file with its digests, and the Debian
package that each came from. The same package gives the same bytes."""
import hashlib
import json
import re
import time
import uuid

import debian


def identifier(kind, name):
    clean = re.sub(r"[^A-Za-z0-9.-]", "-", name)
    if clean != name:
        clean += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"SPDXRef-{kind}-{clean}"


def describe_debian(name):
    facts = debian.facts(name)
    names = debian.licences(name)
    package = {
        "name": name, "SPDXID": identifier("Package", name), "versionInfo": facts["version"],
        "supplier": "Organization: Debian", "downloadLocation": "NOASSERTION",
        "sourceInfo": f"built from the Debian source package {facts['source']} {facts['source_version']}",
        "licenseConcluded": "NOASSERTION", "licenseDeclared": debian.spdx_licence(name),
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{name}@{facts['version'].replace('+', '%2B').replace(':', '%3A')}"
                                f"?arch={facts['architecture']}&distro={debian.distribution()}",
        }],
    }
    if facts["homepage"]:
        package["homepage"] = facts["homepage"]
    if names:
        package["licenseComments"] = "Names in Debian's copyright file: " + ", ".join(names)
    return package


def describe_caracola(version, name="caracola"):
    return {
        "name": name, "SPDXID": identifier("Package", name), "versionInfo": version,
        "downloadLocation": "NOASSERTION", "licenseConcluded": "MIT", "licenseDeclared": "MIT",
        "copyrightText": "Copyright (c) 2026 the caracola authors",
    }


def bill(artifact, tree, version, epoch, depends=(), static=()):
    """`artifact` is the finished package, `tree` what is in it. `depends`: Debian packages that it
    depends on but does not contain; `static`: those with code inside our own programs."""
    digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
    root = describe_caracola(version, artifact.name)
    root.update({"filesAnalyzed": False, "packageFileName": artifact.name,
                 "checksums": [{"algorithm": "SHA256", "checksumValue": digest}]})
    packages, files, relations = {}, [], []

    def relate(one, kind, other):
        relations.append({"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other})

    relate("SPDXRef-DOCUMENT", "DESCRIBES", root["SPDXID"])
    codes = {}
    for path in sorted(tree.files):
        origin = tree.files[path][2]
        data = tree.data(path)
        if origin not in packages:
            packages[origin] = describe_caracola(version) if origin == "caracola" else describe_debian(origin)
            relate(root["SPDXID"], "CONTAINS", packages[origin]["SPDXID"])
        sha1 = hashlib.sha1(data).hexdigest()
        codes.setdefault(origin, []).append(sha1)
        files.append({
            "fileName": "./" + path, "SPDXID": identifier("File", path),
            "checksums": [{"algorithm": "SHA1", "checksumValue": sha1},
                          {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}],
            "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION",
        })
        relate(packages[origin]["SPDXID"], "CONTAINS", files[-1]["SPDXID"])
    for origin, sums in codes.items():
        packages[origin]["filesAnalyzed"] = True
        packages[origin]["packageVerificationCode"] = {
            "packageVerificationCodeValue": hashlib.sha1("".join(sorted(sums)).encode()).hexdigest()}
    for kind, names in (("DEPENDS_ON", depends), ("STATIC_LINK", static)):
        for name in sorted(names):
            if name not in packages:
                ours = name.startswith("libcaracola")
                packages[name] = {**(describe_caracola(version, name) if ours else describe_debian(name)),
                                  "filesAnalyzed": False}
            relate(packages["caracola"]["SPDXID"], kind, packages[name]["SPDXID"])
    return json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": artifact.name,
        # A name, not an address: the form with spdx.org would lead nowhere.
        "documentNamespace": uuid.uuid5(uuid.NAMESPACE_OID, f"{artifact.name} {digest}").urn,
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
                         "creators": ["Tool: caracola-make-package"]},
        "packages": [root] + [packages[name] for name in sorted(packages)],
        "files": files, "relationships": relations,
    }, indent=1, ensure_ascii=False) + "\n"
