/** Source of a collection with one filter, `example.tools.shout`. */
export const collectionSource = {
  'galaxy.yml':
    'namespace: example\nname: tools\nversion: 1.2.0\nreadme: README.md\nauthors: [Signalbox]\nlicense: [Apache-2.0]\n',
  'README.md': 'Tools for tests.\n',
  'plugins/filter/shout.py': [
    'class FilterModule:',
    '    def filters(self):',
    '        return {"shout": lambda text: text.upper() + "!"}',
    '',
  ].join('\n'),
} as const;

/** Name of the file that `ansible-galaxy collection build` makes of it. */
export const collectionFile = 'example-tools-1.2.0.tar.gz';

/** Builds what lies in one folder into another, with the real ansible-galaxy. */
export const buildCollection = (from: string, to: string) => [
  'sh',
  '-c',
  `mkdir /tmp/collection && cp -rL ${from}/* /tmp/collection && ansible-galaxy collection build /tmp/collection --output-path ${to}`,
];
