/** What ansible-galaxy does not install is a warning, with the cause; the error after it says only that there was one. */
const ERROR = /^\[(?:ERROR(?=\])|WARNING(?=\]: .*NOT installed))\]: (.*)$/;

/** Finds the first error in what a program of Ansible prints. */
export class FirstError {
  text: string | undefined;

  /** Takes the next line. */
  take(line: string): void {
    if (this.text === undefined) this.text = ERROR.exec(line)?.[1];
    // A list follows: its first entry is worth having.
    else if (this.text.endsWith(':')) this.text += ` ${line.trim()}`;
  }
}
