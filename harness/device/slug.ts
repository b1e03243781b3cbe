/** Lower case, digits, `.` and `-`: a name that is safe in files, CSV and shell. */
export function slug(text: string): string {
  return (
    text
      .normalize('NFKD')
      .toLowerCase()
      .replaceAll(/[^a-z0-9.]+/g, '-')
      .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '') || 'unknown'
  );
}
