#!/bin/sh
# Builds kube-apiserver from Debian's source package, which carries its vendored modules, so that no module proxy is asked.
# Not its business: fetching. SOURCE holds the unpacked files of the source package, GOROOT an unpacked golang-1.19.
#
#   kube_apiserver.sh SOURCE GOROOT WORK OUTPUT
set -eu
source=$1 GOROOT=$2 work=$3 output=$4
export GOROOT GO111MODULE=off CGO_ENABLED=0 GOFLAGS= GOPATH="$work/go" GOCACHE="$work/cache" GOTMPDIR="$work/tmp"
PATH="$GOROOT/bin:$PATH"
rm -rf "$work"
mkdir -p "$GOPATH/src/k8s.io" "$GOCACHE" "$GOTMPDIR" "$work/src"

echo "kube-apiserver: unpacking" >&2
tar -xzf "$source"/kubernetes_*.orig.tar.gz -C "$work/src" --strip-components=1
ln -s "$work/src" "$GOPATH/src/k8s.io/kubernetes"
cd "$GOPATH/src/k8s.io/kubernetes"
# Debian's patches, in their order: they carry its security fixes.
mkdir "$work/debian"
tar -xJf "$source"/kubernetes_*.debian.tar.xz -C "$work/debian" --strip-components=1
sed -e 's/[ \t]*#.*//' -e '/^$/d' "$work/debian/patches/series" | while read -r name options; do
    patch -s -f -p1 <"$work/debian/patches/$name"
done

# The generated OpenAPI definitions are not in the package.
echo "kube-apiserver: generating its OpenAPI definitions" >&2
go build -o "$work/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(grep -rl --include=*.go '+k8s:openapi-gen=true' staging/src/k8s.io pkg |
    grep -v -e /testdata/ -e _test.go -e /zz_generated | xargs -n1 dirname | sort -u |
    sed -e 's,^staging/src/,k8s.io/kubernetes/vendor/,' -e 's,^pkg/,k8s.io/kubernetes/pkg/,' | paste -sd, -)
"$work/openapi-gen" -O zz_generated.openapi -p k8s.io/kubernetes/pkg/generated/openapi \
    -h hack/boilerplate/boilerplate.generatego.txt --output-base "$GOPATH/src" --report-filename /dev/null -i "$packages"

echo "kube-apiserver: compiling (some minutes, once)" >&2
go build -ldflags "-s -w" -o "$work/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
mv "$work/kube-apiserver" "$output"
cd /
chmod -R u+w "$work"
rm -rf "$work"
