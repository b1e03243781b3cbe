import type {Plan} from '../contract/plan.ts';
import {taskDevices, tasksOf} from './tasks.ts';

export interface DeviceTotal {
  readonly device: string;
  readonly cells: number;
  /** At most: every cell with its whole budget. Without making or fetching the weights. */
  readonly hours: number;
}

/** What a plan asks of each device, before anything is submitted. */
export function deviceTotals(plan: Plan): DeviceTotal[] {
  return taskDevices(plan).map((device) => {
    const tasks = tasksOf(plan, device, 'none');
    const hours = tasks.reduce((sum, {seconds}) => sum + seconds, 0) / 3600;
    return {device, cells: tasks.length, hours};
  });
}
