#!/bin/sh
# Installs swagger-ui-dist as package-lock.json says into the current folder; run by CMake. usage: install_viewer.sh NPM
"$1" ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error && exit 0
echo "The documentation viewer could not be installed by npm, see above: it needs npm's registry once." >&2
echo "To build without the viewer: cmake -DKEYMELD_DOCS_VIEWER=OFF <build folder>" >&2
exit 1
