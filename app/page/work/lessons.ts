export const lessonTasks = {};
