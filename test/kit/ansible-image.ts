import path from 'node:path';
import { baseImages, buildBases } from '../cluster/base-images.ts';
import { build, type Image } from '../cluster/images.ts';
import { type Report, silent } from '../cluster/report.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** Builds the image of Ansible steps from this checkout. As root. */
export async function buildAnsibleImage(report: Report = silent): Promise<Image> {
  await buildBases(report);
  const source = {
    tag: 'localhost/signalbox/ansible:dev',
    dockerfile: path.join(root, 'deploy/images/ansible/Dockerfile'),
    context: root,
    args: { BASE: baseImages.debian, NODE_BASE: baseImages.node },
  };
  return build(source, report);
}
